/**
 * kube-apiserver and etcd on loopback, and nothing else: no kubelet, no scheduler, no controllers, no containers.
 * Two parts that other programs of a cluster have are played, as pods and RBAC need them: see controllers.ts.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../test/fakes/free-port.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { apiserverOf, type Apiserver } from '../support/apiserver.ts'
import type { Host } from '../support/host.ts'
import { kubectlOf, type Kubectl } from '../support/kubectl.ts'
import { waitFor } from '../support/wait.ts'
import { startControllers } from './controllers.ts'
import { startProgram, type Running } from './process.ts'
import type { Programs } from './programs.ts'

/**
 * ClusterIPs are loopback addresses, all of which are this machine's: the apiserver reaches a Service if somebody
 * listens there, and needs no kube-proxy.
 */
const SERVICE_RANGE = '127.96.0.0/12'
/** As in the kind cluster of the suite. */
const ISSUER = 'https://203.0.113.10'
const START_LIMIT_MS = 60_000
/** It waits a minute for those that watch; they are to see what they see if it is killed. */
const APISERVER_GRACE_MS = 2000

export interface ControlPlane {
  /** Its programs, with KUBECONFIG of an administrator. */
  readonly host: Host
  readonly kubectl: Kubectl
  /** As the administrator; may impersonate any other. */
  readonly api: Apiserver
  /** Where it keeps its files and logs. */
  readonly folder: string
  /** Writes a kubeconfig for a bearer token; returns its path. */
  kubeconfigFor(name: string, token: string): Promise<string>
  /** Processor time of the apiserver so far, in milliseconds. */
  cpuMs(): Promise<number>
  /** Ends the apiserver and starts it on the same data; what it holds in memory is gone. */
  restart(): Promise<void>
  stop(): Promise<void>
}

interface Files {
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly serviceAccountKey: string
  readonly tokens: string
  readonly administrator: string
}

/**
 * Starts both, and waits until the apiserver is ready.
 *
 * @param folder of its own; made here
 * @throws Error with the last lines of the program that ended or was not ready in 60 s
 */
export async function startControlPlane(
  host: Host,
  programs: Programs,
  folder: string,
): Promise<ControlPlane> {
  await mkdir(folder, { recursive: true })
  const files = await writeFiles(folder)
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()]
  const kubeconfigFor = async (name: string, token: string): Promise<string> => {
    const path = join(folder, `kubeconfig-${name}`)
    await writeFile(path, kubeconfig(port, files.tls.ca, token), { mode: 0o600 })
    return path
  }
  const KUBECONFIG = await kubeconfigFor('administrator', files.administrator)
  const ready = host.with({ KUBECONFIG, PATH: programs.kubectl })
  const kubectl = kubectlOf(ready)
  const api = await apiserverOf(kubectl)

  const etcd = await startEtcd(programs, folder, [etcdPort, peerPort])
  const startApiserver = async (): Promise<Running> => {
    const flags = apiserverFlags(files, folder, { etcdPort, port })
    const log = join(folder, 'kube-apiserver.log')
    const running = await startProgram(programs.apiserver, flags, {
      log,
      graceMs: APISERVER_GRACE_MS,
    })
    try {
      await waitFor('the apiserver to be ready', START_LIMIT_MS, async () => {
        if (!running.isRunning() || !etcd.isRunning()) return true
        return (await api({ method: 'GET', path: '/readyz' })).status === 200 ? true : undefined
      })
      for (const one of [etcd, running])
        if (!one.isRunning()) throw new Error(`it ended:\n${await one.lastLines()}`)
    } catch (error) {
      await running.stop()
      throw error
    }
    return running
  }
  let apiserver = await startApiserver().catch(async (error: unknown) => {
    await etcd.stop()
    throw error
  })
  const controllers = await startControllers(ready, api)
  return {
    host: ready,
    kubectl,
    api,
    folder,
    kubeconfigFor,
    cpuMs: () => apiserver.cpuMs(),
    async restart() {
      await apiserver.stop()
      apiserver = await startApiserver()
    },
    async stop() {
      controllers.stop()
      await apiserver.stop()
      await etcd.stop()
    },
  }
}

function startEtcd(
  { etcd }: Programs,
  folder: string,
  [clients, peers]: readonly [number, number],
): Promise<Running> {
  const forClients = `http://127.0.0.1:${clients}`
  const forPeers = `http://127.0.0.1:${peers}`
  const flags = {
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': forClients,
    'advertise-client-urls': forClients,
    'listen-peer-urls': forPeers,
    'initial-advertise-peer-urls': forPeers,
    'initial-cluster': `default=${forPeers}`,
  }
  const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  // Its data does not outlast it.
  return startProgram(etcd, [...given, '--unsafe-no-fsync'], { log: join(folder, 'etcd.log') })
}

function apiserverFlags(
  { tls, serviceAccountKey, tokens }: Files,
  folder: string,
  { etcdPort, port }: { readonly etcdPort: number; readonly port: number },
): string[] {
  const flags = {
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': '127.0.0.1',
    'advertise-address': '127.0.0.1',
    'secure-port': port,
    'cert-dir': folder,
    'tls-cert-file': join(folder, tls.cert),
    'tls-private-key-file': join(folder, tls.key),
    'token-auth-file': tokens,
    'service-account-issuer': ISSUER,
    'service-account-key-file': serviceAccountKey,
    'service-account-signing-key-file': serviceAccountKey,
    'authorization-mode': 'Node,RBAC',
    // Besides the default ones, as kubeadm does it.
    'enable-admission-plugins': 'NodeRestriction',
    'service-cluster-ip-range': SERVICE_RANGE,
    // It would write a loopback address, which is not allowed there.
    'endpoint-reconciler-type': 'none',
    'allow-privileged': true,
  }
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
}

async function writeFiles(folder: string): Promise<Files> {
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1', 'localhost'])
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const administrator = randomBytes(20).toString('hex')
  const contents = {
    'tls.crt': certPem,
    'tls.key': keyPem,
    'service-account.key': privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    'tokens.csv': `${administrator},administrator,administrator,system:masters\n`,
  }
  for (const [name, content] of Object.entries(contents))
    await writeFile(join(folder, name), content, { mode: 0o600 })
  return {
    tls: { ca: caPem, cert: 'tls.crt', key: 'tls.key' },
    serviceAccountKey: join(folder, 'service-account.key'),
    tokens: join(folder, 'tokens.csv'),
    administrator,
  }
}

function kubeconfig(port: number, caPem: string, token: string): string {
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    'certificate-authority-data': Buffer.from(caPem).toString('base64'),
  }
  const name = 'nocreds-apiserver'
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}
