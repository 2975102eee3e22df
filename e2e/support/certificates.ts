import { AUTHORITY } from '../../contract/certificates.ts'
import { IMAGES } from '../versions.ts'
import type { Kubectl } from './kubectl.ts'
import { webhookOf } from './nocreds-webhook.ts'
import { authorityReached } from './reached.ts'
import type { Suite } from './suite.ts'
import { waitFor } from './wait.ts'

/** Port of the suite's servers of mutual TLS. */
const TLS_PORT = 8443

/** A Namespace that is enabled for certificates alone, and its ServiceAccount `app`, which asks for one. */
export interface Member {
  readonly namespace: string
  readonly identity: string
}

/** A member in the Namespace PREFIX-NAME. */
export async function createMember(
  { kubectl, prefix }: Suite,
  name: string,
  annotations: Readonly<Record<string, string>> = {},
): Promise<Member> {
  const namespace = `${prefix}-${name}`
  const own = { 'nocreds.dev/permitted-dns-names': '' }
  const asks = { 'nocreds.dev/certificate': 'true', ...annotations }
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, annotations: own },
  })
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'app', namespace, annotations: asks },
  })
  return { namespace, identity: `spiffe://cluster.local/ns/${namespace}/sa/app` }
}

function deployment(
  { namespace }: Member,
  name: string,
  container: Readonly<Record<string, unknown>>,
): object {
  const labels = { app: name }
  const app = { name: 'app', image: IMAGES.appJavascript, ...container }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { serviceAccountName: 'app', terminationGracePeriodSeconds: 1, containers: [app] },
      },
    },
  }
}

async function rolledOut(
  { kubectl }: Pick<Suite, 'kubectl'>,
  { namespace }: Member,
  name: string,
): Promise<void> {
  const status = ['rollout', 'status', `deployment/${name}`, '--timeout=120s']
  await kubectl([...status, '--namespace', namespace])
}

/** The Deployment and Service `server`; returns its URL. */
export async function startServer(suite: Pick<Suite, 'kubectl'>, member: Member): Promise<string> {
  const readinessProbe = { tcpSocket: { port: TLS_PORT }, periodSeconds: 1 }
  const container = { command: ['node', '/app/tls-server.mjs'], readinessProbe }
  const spec = { selector: { app: 'server' }, ports: [{ port: TLS_PORT }] }
  await suite.kubectl.apply(deployment(member, 'server', container), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'server', namespace: member.namespace },
    spec,
  })
  await rolledOut(suite, member, 'server')
  return `https://server.${member.namespace}.svc:${TLS_PORT}/`
}

/** One second of a client. */
export interface Second {
  readonly answered: number
  readonly failed: readonly string[]
  /** Serial numbers of the certificates of both sides, as of the last answer. */
  readonly server?: string
  readonly client?: string
  /** subjectAltName of the client, as the server saw it. */
  readonly peer?: string
}

/**
 * The Deployment `client`, which calls the server ten times a second; returns what it said since its first second
 * without a failure: a Service leads to a new pod a moment after that is ready.
 */
export async function startClient(
  suite: Suite,
  member: Member,
  server: string,
): Promise<() => Promise<readonly Second[]>> {
  const env = [{ name: 'SERVER', value: server }]
  const container = { command: ['node', '/app/tls-client.mjs'], env }
  await suite.kubectl.apply(deployment(member, 'client', container))
  await rolledOut(suite, member, 'client')
  const logs = ['logs', 'deployment/client', '--container', 'app', '--namespace', member.namespace]
  const said = async (): Promise<readonly Second[]> => {
    const log = await suite.kubectl(logs)
    const seconds = log
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Second]))
    const first = seconds.findIndex(({ answered, failed }) => answered > 0 && failed.length === 0)
    return first === -1 ? [] : seconds.slice(first)
  }
  await waitFor('the first calls to be answered', 60_000, async () => {
    return (await said()).length > 0 ? true : undefined
  })
  return said
}

/** One generation, as text. */
export interface TlsFiles {
  readonly keyPem: string
  readonly certPem: string
  readonly bundlePem: string
}

/** Files of the present generation in a workload's app container. */
export async function filesOf(
  { kubectl }: Suite,
  { namespace }: Member,
  workload: string,
): Promise<TlsFiles> {
  const read = `cd $(readlink -f "$NOCREDS_TLS_DIR/..data") && node -p 'JSON.stringify(["tls.key","tls.crt","ca.crt"].map((f)=>fs.readFileSync(f,"utf8")))'`
  const exec = ['exec', workload, '--namespace', namespace, '--container', 'app', '--']
  const out = await kubectl([...exec, 'sh', '-c', read])
  const [keyPem = '', certPem = '', bundlePem = ''] = JSON.parse(out) as string[]
  return { keyPem, certPem, bundlePem }
}

/** Run inside a pod: what comes of a call with the files on standard input. */
const CALL = `
const { server, ca, cert, key } = JSON.parse(fs.readFileSync(0, 'utf8'))
const end = (said) => { console.log(said); process.exit() }
https.request(server, { ca, cert, key }, ({ statusCode }) => end('answered ' + statusCode))
  .on('error', ({ code }) => end('refused ' + code)).end()
`

/** One call from the member's client with files that may be another's: `answered 200`, or `refused CODE`. */
export async function callOnce(
  { kubectl }: Suite,
  { namespace }: Member,
  server: string,
  { bundlePem, certPem, keyPem }: Partial<TlsFiles>,
): Promise<string> {
  const input = JSON.stringify({ server, ca: bundlePem, cert: certPem, key: keyPem })
  const exec = ['exec', '--stdin', 'deployment/client', '--namespace', namespace]
  return kubectl([...exec, '--container', 'app', '--', 'node', '-e', CALL], input)
}

/** Sets the source of certificates; `auto` depends on what the apiserver serves. */
export async function useSource(suite: Suite, source: 'auto' | 'authority'): Promise<void> {
  await setArguments(
    suite,
    'nocreds-webhook',
    source === 'auto' ? [] : [`--certificate-source=${source}`],
  )
}

/** Flags of the authority besides those of the manifest. */
export async function setAuthorityFlags(suite: Suite, flags: readonly string[]): Promise<void> {
  await setArguments(suite, AUTHORITY.service, flags)
}

/** The manifest's own arguments come first and stay; a flag given twice counts as it was given last. */
async function setArguments(
  suite: Suite,
  name: 'nocreds-webhook' | typeof AUTHORITY.service,
  wanted: readonly string[],
): Promise<void> {
  const { kubectl } = suite
  const inSystem = ['--namespace', AUTHORITY.namespace]
  const { metadata, spec } = await kubectl.get<{
    readonly metadata: { readonly annotations?: Readonly<Record<string, string>> }
    readonly spec: {
      readonly template: { readonly spec: { readonly containers: readonly { args?: string[] }[] } }
    }
  }>(['deployment', name, ...inSystem])
  const applied = metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'] ?? ''
  const manifest = JSON.parse(applied) as { readonly spec: typeof spec }
  const args = [...(manifest.spec.template.spec.containers[0]?.args ?? []), ...wanted]
  if (JSON.stringify(args) === JSON.stringify(spec.template.spec.containers[0]?.args ?? [])) return
  const patch = [{ op: 'add', path: '/spec/template/spec/containers/0/args', value: args }]
  await kubectl([
    'patch',
    'deployment',
    name,
    '--type=json',
    '-p',
    JSON.stringify(patch),
    ...inSystem,
  ])
  await (name === AUTHORITY.service ? authoritySettled(suite) : webhookOf(kubectl).settled())
}

export async function restartAuthority(suite: Suite): Promise<void> {
  const deployment = `deployment/${AUTHORITY.service}`
  await suite.kubectl(['rollout', 'restart', deployment, '--namespace', AUTHORITY.namespace])
  await authoritySettled(suite)
}

export async function scaleAuthority(kubectl: Kubectl, replicas: number): Promise<void> {
  const deployment = `deployment/${AUTHORITY.service}`
  const inSystem = ['--namespace', AUTHORITY.namespace]
  await kubectl(['scale', deployment, `--replicas=${replicas}`, ...inSystem])
}

/** Waits until there are so many pods of the authority, those that end included. */
export async function authorityHas(kubectl: Kubectl, count: number): Promise<void> {
  await waitFor(`the authority to have ${count} pods`, 90_000, async () => {
    const selector = ['--selector', `app.kubernetes.io/name=${AUTHORITY.service}`]
    const of = ['pods', ...selector, '--namespace', AUTHORITY.namespace]
    const pods = await kubectl.get<{ items: unknown[] }>(of)
    return pods.items.length === count ? true : undefined
  })
}

/** Waits until both replicas are ready, nothing of an older rollout is left, and pods reach them. */
export async function authoritySettled({
  host,
  kubectl,
}: Pick<Suite, 'host' | 'kubectl'>): Promise<void> {
  const inSystem = ['--namespace', AUTHORITY.namespace]
  const deployment = `deployment/${AUTHORITY.service}`
  await kubectl(['rollout', 'status', deployment, '--timeout=180s', ...inSystem])
  await authorityHas(kubectl, 2)
  await authorityReached(host)
}
