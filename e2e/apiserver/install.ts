/**
 * nocreds on an apiserver alone: the objects of install.yaml as they stand, and the built programs of their
 * Deployments as processes, each with the flags of its manifest and the token of its ServiceAccount. They are reached
 * by the ClusterIPs of their Services, which are loopback addresses.
 */
import { mkdir } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { AUTHORITY } from '../../contract/certificates.ts'
import { listen } from '../../shared/base/server.ts'
import { freePort } from '../../test/fakes/free-port.ts'
import { exists } from '../airgap/cache.ts'
import { MachineError } from '../support/host.ts'
import { askWebhook } from '../support/reached.ts'
import { waitFor } from '../support/wait.ts'
import { REPOSITORY } from '../versions.ts'
import type { ControlPlane } from './control-plane.ts'
import { startProgram } from './process.ts'

const NAMESPACE = 'nocreds-system'
const INSTALL = join(REPOSITORY, 'manifests', 'install.yaml')
const START_LIMIT_MS = 30_000
const TOKEN_SECONDS = 86_400

/** Deployment, Service and ServiceAccount of one name, and the program in dist/. */
const PARTS = {
  [AUTHORITY.service]: 'authority.mjs',
  'nocreds-webhook': 'webhook.mjs',
} as const
type Part = keyof typeof PARTS

export interface Installed {
  /** Ends one program and starts it again, with the settings as they are now and further flags. */
  restart(part: Part, flags?: readonly string[]): Promise<void>
  /** Ends one program, or all. */
  stop(part?: Part): Promise<void>
}

/**
 * Applies install.yaml, and waits until the apiserver reaches the webhook.
 *
 * @throws MachineError if the programs are not built; CommandError if kubectl refuses
 */
export async function installNocreds(plane: ControlPlane): Promise<Installed> {
  await plane.kubectl(['apply', '-f', INSTALL])
  const running = new Map<Part, StartedPart>()
  const start = async (part: Part, flags: readonly string[] = []): Promise<void> => {
    running.set(part, await startPart(plane, part, flags))
  }
  const stop = async (part: Part): Promise<void> => {
    const started = running.get(part)
    running.delete(part)
    await started?.stop()
  }
  const webhookAnswers = (): Promise<boolean> =>
    waitFor('the webhook to answer', START_LIMIT_MS, async () => {
      await askWebhook(plane.api)
      return true
    })
  const parts = Object.keys(PARTS) as Part[]
  const stopAll = async (): Promise<void> => {
    await Promise.all(parts.map(stop))
  }
  try {
    await Promise.all(parts.map((part) => start(part)))
    await webhookAnswers()
  } catch (error) {
    await stopAll()
    throw error
  }
  return {
    async restart(part, flags) {
      await stop(part)
      await start(part, flags)
      await webhookAnswers()
    },
    stop: (part) => (part === undefined ? stopAll() : stop(part)),
  }
}

interface StartedPart {
  stop(): Promise<void>
}

async function startPart(
  plane: ControlPlane,
  part: Part,
  flags: readonly string[],
): Promise<StartedPart> {
  const program = join(REPOSITORY, 'dist', PARTS[part])
  if (!(await exists(program)))
    throw new MachineError(`${program} is not built; build it with: make build`)
  const folder = join(plane.folder, part)
  await mkdir(folder, { recursive: true })
  const [port, metricsPort] = [await freePort(), await freePort()]
  const args = [
    ...(await manifestArgs(plane, part)),
    `--port=${port}`,
    `--metrics-port=${metricsPort}`,
    ...flags,
  ]
  const KUBECONFIG = await plane.kubeconfigFor(part, await tokenOf(plane, part))
  const env = { KUBECONFIG, PATH: plane.host.env['PATH'] }
  const log = join(folder, 'log')
  const running = await startProgram(process.execPath, [program, ...args], { env, log })
  const stopLeading = await leadTo(plane, part, port)
  const stop = async (): Promise<void> => {
    stopLeading()
    await running.stop()
  }
  try {
    await waitFor(`${part} to be ready`, START_LIMIT_MS, async () => {
      if (!running.isRunning()) return true
      return (await fetch(`http://127.0.0.1:${metricsPort}/readyz`)).ok ? true : undefined
    })
    if (!running.isRunning()) throw new Error('it ended')
  } catch (error) {
    await stop()
    throw new Error(`${part}: ${String(error)}\n${await running.lastLines()}`, { cause: error })
  }
  return { stop }
}

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly args?: readonly string[]
          readonly env?: readonly EnvVar[]
        }[]
      }
    }
  }
}
interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly configMapKeyRef?: { readonly name: string; readonly key: string }
  }
}

/** The arguments of the Deployment's container, with `$(NAME)` replaced as the kubelet does it. */
async function manifestArgs({ kubectl }: ControlPlane, part: Part): Promise<string[]> {
  const inNamespace = ['--namespace', NAMESPACE]
  const { spec } = await kubectl.get<Deployment>(['deployment', part, ...inNamespace])
  const { args = [], env = [] } = spec.template.spec.containers[0] ?? {}
  const values = new Map<string, string>()
  for (const { name, value, valueFrom } of env) {
    const reference = valueFrom?.configMapKeyRef
    if (reference === undefined) {
      if (value !== undefined) values.set(name, value)
      continue
    }
    const { data } = await kubectl.get<{ readonly data?: Readonly<Record<string, string>> }>([
      ...['configmap', reference.name, ...inNamespace],
    ])
    const found = data?.[reference.key]
    if (found !== undefined) values.set(name, found)
  }
  return args.map((arg) =>
    arg.replaceAll(/\$\(([^)]+)\)/g, (whole, name: string) => values.get(name) ?? whole),
  )
}

async function tokenOf({ api }: ControlPlane, serviceAccount: string): Promise<string> {
  const { status, message, body } = await api({
    method: 'POST',
    path: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${serviceAccount}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: TOKEN_SECONDS },
    },
  })
  if (status !== 201) throw new Error(`token of ${serviceAccount}: ${message}`)
  return (body as { readonly status: { readonly token: string } }).status.token
}

/** What kube-proxy does: connections to the Service come to the program. @returns ends it, and them */
async function leadTo(
  { kubectl }: ControlPlane,
  service: string,
  port: number,
): Promise<() => void> {
  const { spec } = await kubectl.get<{
    readonly spec: { readonly clusterIP: string; readonly ports: readonly [{ port: number }] }
  }>(['service', service, '--namespace', NAMESPACE])
  const open = new Set<Socket>()
  const server = createServer((from) => {
    const to = connect(port, '127.0.0.1')
    open.add(from)
    from.on('close', () => open.delete(from))
    from.pipe(to).pipe(from)
    // Either side that breaks off ends the other.
    from.on('error', () => to.destroy())
    to.on('error', () => from.destroy())
  })
  await listen(server, spec.ports[0].port, spec.clusterIP)
  return () => {
    server.close()
    for (const socket of open) socket.destroy()
  }
}
