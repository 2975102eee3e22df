/** The part about mutual TLS: two pods with certificates of the authority, and two callers without. */
import { createPublicKey } from 'node:crypto'
import { get } from 'node:https'
import { spiffeId, TRUST_BUNDLE } from '../../contract/certificates.ts'
import { codeOf } from '../../shared/base/errors.ts'
import {
  createIntermediate,
  createRoot,
  issueLeaf,
  keyPemOf,
  newKey,
} from '../../shared/x509/certificate.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { freePort } from '../../test/fakes/free-port.ts'
import type { RunningContainer } from '../../test/fakes/kubelet-containers.ts'
import { onLoopback } from './app/loopback.ts'
import type { Environment } from './environment.ts'
import type { PodRun } from './pod-run.ts'
import { workloadPod, type Pod } from './pod.ts'
import { say } from './show.ts'

const CLIENT_ID = spiffeId('cluster.local', 'team-a', 'client')

/** Admits a pod and runs it, up to its sidecar. */
type StartPod = (pod: Pod) => Promise<PodRun>

/** Server and client run; resolves once a call went through and the strangers were refused. */
export async function startMutualTls(
  environment: Environment,
  startPod: StartPod,
): Promise<RunningContainer> {
  const port = await freePort()
  const url = `https://server.team-a.svc:${port}`
  const [server, client] = await Promise.all([
    startPod(
      await workloadPod('server', ['node', '/examples/server.mjs'], {
        ALLOWED: CLIENT_ID,
        PORT: String(port),
      }),
    ),
    startPod(await workloadPod('client', ['node', '/app/caller.ts'], { SERVER: url })),
  ])
  await Promise.all([certificateIsThere(server), certificateIsThere(client)])
  await server.start('app')
  const ca =
    environment.authority.configMap('team-a', TRUST_BUNDLE.configMap)?.[TRUST_BUNDLE.key] ?? ''
  await eventually(async () => (await refusalOf(url, { ca })) !== 'ECONNREFUSED')

  const caller = await client.start('app')
  await eventually(() => caller.stdout.length > 0 || caller.process.exitCode !== null)
  if (caller.stdout.length === 0) throw new Error(`client: ${caller.stderr.join(' ')}`)
  say(caller.stdout[0] ?? '', 'client')
  say(`without a certificate: ${await refusalOf(url, { ca })}`, 'stranger')
  const forged = await ofAnotherCa()
  say(`with the same name from another CA: ${await refusalOf(url, { ca, ...forged })}`, 'stranger')
  return caller
}

/** Resolves once both ends have new certificates. @throws Error if a call failed */
export async function watchRenewal(caller: RunningContainer): Promise<void> {
  const { code } = await caller.exited
  for (const line of caller.stdout.slice(1)) say(line, 'client')
  if (code !== 0) throw new Error(`client: ${caller.stderr.join(' ')}`)
}

/** The gate: the app starts once its certificate is there. */
async function certificateIsThere({ sidecar }: PodRun): Promise<void> {
  const gate = await sidecar?.postStart
  if (gate?.code !== 0) throw new Error(`the gate did not open: ${gate?.output ?? 'no sidecar'}`)
}

/** The error with which the server refuses the connection. @throws Error if it answers */
function refusalOf(url: string, options: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { ...options, lookup: onLoopback, agent: false }, (response) => {
      response.resume()
      reject(new Error(`a stranger was answered with ${String(response.statusCode)}`))
    })
    request.on('error', (error) => {
      resolve(codeOf(error) ?? error.message)
    })
  })
}

/** What the client has, but of a CA that is in nobody's bundle. */
async function ofAnotherCa(): Promise<{ readonly key: string; readonly cert: string }> {
  const nowMs = Date.now()
  const issuer = await createIntermediate(await createRoot(nowMs, 3600), nowMs, 3600)
  const key = await newKey()
  const { chainPem } = issueLeaf({
    issuer,
    key: createPublicKey(key),
    dnsNames: [],
    uri: CLIENT_ID,
    nowMs,
    lifetimeSeconds: 3600,
  })
  return { key: keyPemOf(key), cert: chainPem }
}
