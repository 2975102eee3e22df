import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Role } from '../../test/fakes/sts/actions.ts'
import { bundle } from '../../tools/build/programs.ts'
import { ISSUER } from '../cluster/aws.ts'
import { ownSts, type OwnSts } from '../support/own-sts.ts'
import type { Suite } from '../support/suite.ts'
import { IMAGES } from '../versions.ts'

const PORTS = { sts: 8080, sessions: 8081 } as const
const NAME = 'embedded-sts'

/** What services would be told of a session. */
interface SeenSession {
  readonly arn: string
  readonly tags: Readonly<Record<string, string>>
  readonly transitiveTagKeys: readonly string[]
  readonly policy?: string
  readonly policyArns: readonly string[]
}

export interface EmbeddedSts extends OwnSts {
  /** In the order in which they were opened. */
  sessions(): Promise<readonly SeenSession[]>
}

/** Starts the embedded STS in a Namespace of its own; pods with its aliases take it for STS. */
export async function startEmbeddedSts(suite: Suite, roles: readonly Role[]): Promise<EmbeddedSts> {
  const { kubectl, prefix } = suite
  const namespace = `${prefix}-sts`
  const inNamespace = ['--namespace', namespace]
  const metadata = { name: NAME, namespace, labels: { app: NAME } }
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: NAME, namespace },
      data: { 'main.mjs': await program(), 'ca.crt': await issuerCa(suite) },
    },
    { apiVersion: 'v1', kind: 'Pod', metadata, spec: specOf(roles) },
  )
  await kubectl(['wait', `pod/${NAME}`, '--for=condition=Ready', '--timeout=90s', ...inNamespace])
  const own = await ownSts(suite, { namespace, app: NAME, port: PORTS.sts })
  const proxy = `/api/v1/namespaces/${namespace}/pods/${NAME}:${PORTS.sessions}/proxy/`
  return {
    ...own,
    sessions: async () =>
      JSON.parse(await kubectl(['get', '--raw', proxy])) as readonly SeenSession[],
  }
}

async function program(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-embedded-sts-'))
  try {
    const file = join(folder, 'main.mjs')
    await bundle('e2e/roles/sts-main.ts', file)
    return await readFile(file, 'utf8')
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function issuerCa({ kubectl }: Suite): Promise<string> {
  const { data } = await kubectl.get<{ readonly data: Readonly<Record<string, string>> }>([
    ...['secret', 'issuer-tls', '--namespace', 'aws'],
  ])
  return Buffer.from(data['ca.crt'] ?? '', 'base64').toString('utf8')
}

function specOf(roles: readonly Role[]): object {
  const env = {
    ISSUER_URL: `https://${ISSUER}`,
    ISSUER_CA: '/app/ca.crt',
    ROLES: JSON.stringify(roles),
    PORT: `${PORTS.sts}`,
    SESSIONS_PORT: `${PORTS.sessions}`,
  }
  const container = {
    name: 'sts',
    image: IMAGES.node,
    command: ['node', '/app/main.mjs'],
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    readinessProbe: { tcpSocket: { port: PORTS.sessions }, periodSeconds: 1 },
    volumeMounts: [{ name: 'program', mountPath: '/app' }],
  }
  const volumes = [{ name: 'program', configMap: { name: NAME } }]
  return { terminationGracePeriodSeconds: 1, containers: [container], volumes }
}
