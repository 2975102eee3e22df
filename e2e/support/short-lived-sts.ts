import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { STS_ENDPOINT } from '../cluster/aws.ts'
import { IMAGES } from '../versions.ts'
import { ownSts, type OwnSts } from './own-sts.ts'
import type { Suite } from './suite.ts'

const PORT = 8080

interface ShortLivedSts extends OwnSts {
  /** SHA-256 of each token that was traded, in hex, in that order. */
  traded(): Promise<string[]>
}

/**
 * Real STS answers, but of credentials that end so soon; STS itself gives no less than 15 minutes. It is in the
 * Namespace PREFIX-sts.
 */
export async function startShortLivedSts(
  suite: Suite,
  lifetimeSeconds: number,
): Promise<ShortLivedSts> {
  const { kubectl, prefix } = suite
  const namespace = `${prefix}-sts`
  const script = await readFile(join(import.meta.dirname, 'short-lived-sts-program.ts'), 'utf8')
  const env = { UPSTREAM: STS_ENDPOINT, LIFETIME_SECONDS: lifetimeSeconds, PORT }
  const container = {
    name: 'sts',
    image: IMAGES.node,
    command: ['node', '/app/main.ts'],
    env: Object.entries(env).map(([name, value]) => ({ name, value: String(value) })),
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    volumeMounts: [{ name: 'script', mountPath: '/app' }],
  }
  const volumes = [{ name: 'script', configMap: { name: 'script' } }]
  const spec = { terminationGracePeriodSeconds: 1, containers: [container], volumes }
  const data = { 'main.ts': script }
  const metadata = { name: 'sts', namespace, labels: { app: 'short-lived' } }
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'script', namespace }, data },
    { apiVersion: 'v1', kind: 'Pod', metadata, spec },
  )
  const inNamespace = ['--namespace', namespace]
  await kubectl(['wait', 'pod/sts', '--for=condition=Ready', '--timeout=90s', ...inNamespace])
  const own = await ownSts(suite, { namespace, app: 'short-lived', port: PORT })
  return {
    ...own,
    traded: async () => (await kubectl(['logs', 'sts', ...inNamespace])).split('\n'),
  }
}
