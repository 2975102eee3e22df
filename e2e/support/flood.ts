import { AUTHORITY } from '../../contract/certificates.ts'
import { PROBES, WEBHOOK } from '../../contract/names.ts'
import { IMAGES } from '../versions.ts'
import type { Suite } from './suite.ts'
import { waitFor } from './wait.ts'

const SYSTEM = AUTHORITY.namespace
/** Just below what the webhook takes, 8 MiB: the largest body that it has to keep until its end. */
const BODY_BYTES = Math.floor(7.9 * 1024 * 1024)

interface Server {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  readonly path: string
}

/** Connections of one pod to one server, by what they do: see apps/javascript/flood.ts. */
export type Connections = Readonly<Record<'body' | 'headers' | 'tls' | 'tcp', number>>

/** A part of a flood: pods that are alike. */
export interface FloodPart {
  readonly pods: number
  /** To each Service of nocreds, and directly to each pod behind it. */
  readonly toServices: Connections
  readonly toPods: Connections
  /** To each metrics port. */
  readonly toMetrics: Connections
  /** In all, of one pod. */
  readonly opensPerSecond: number
  /** Share of the node's processors: a stranger comes with a node of its own, and here all share one. */
  readonly cpu: string
  /** True: they call from the node's address, as do the apiserver and the kubelet, so no address tells them apart. */
  readonly hostNetwork?: boolean
}

/** What was done to one server in one way, by all pods. */
interface Did {
  opened: number
  sentBytes: number
}

interface NocredsPods {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string
      readonly labels: Readonly<Record<string, string>>
    }
    readonly status: { readonly podIP: string }
  }[]
}

/** Every port on which nocreds listens: by Service as pods know it, and at each pod. */
async function servers({
  kubectl,
}: Suite): Promise<Record<'services' | 'pods' | 'metrics', Server[]>> {
  const { items } = await kubectl.get<NocredsPods>(['pods', '--namespace', SYSTEM])
  const path = { webhook: WEBHOOK.paths.pods, authority: AUTHORITY.path }
  const port = { webhook: WEBHOOK.port, authority: AUTHORITY.port }
  const metricsPort = { webhook: WEBHOOK.metricsPort, authority: AUTHORITY.metricsPort }
  const found = { services: [] as Server[], pods: [] as Server[], metrics: [] as Server[] }
  for (const part of ['webhook', 'authority'] as const) {
    const service = { name: part, host: `nocreds-${part}.${SYSTEM}.svc`, port: 443, isTls: true }
    found.services.push({ ...service, path: path[part] })
    const replicas = items.filter(
      ({ metadata }) => metadata.labels['app.kubernetes.io/name'] === `nocreds-${part}`,
    )
    replicas.forEach(({ status }, at) => {
      const replica = { name: `${part}-${at}`, host: status.podIP }
      found.pods.push({ ...replica, port: port[part], isTls: true, path: path[part] })
      const metrics = { ...replica, name: `${replica.name}-metrics`, port: metricsPort[part] }
      found.metrics.push({ ...metrics, isTls: false, path: PROBES.metrics })
    })
  }
  return found
}

function floodPod(
  name: string,
  flood: object,
  { seconds, isOnHost, cpu }: { seconds: number; isOnHost: boolean; cpu: string },
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'flood' } },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      activeDeadlineSeconds: seconds + 120,
      terminationGracePeriodSeconds: 1,
      ...(isOnHost && { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }),
      containers: [
        {
          name: 'flood',
          image: IMAGES.appJavascript,
          command: ['node', '/app/flood.mjs'],
          env: [{ name: 'FLOOD', value: JSON.stringify(flood) }],
          resources: { requests: { cpu, memory: '64Mi' }, limits: { memory: '512Mi' } },
        },
      ],
    },
  }
}

/** A flood that has begun; it ends after its time. */
export interface Flood {
  /** What was done, by server and way, once all pods are done. */
  ended(): Promise<Readonly<Record<string, Did>>>
}

/**
 * Starts pods without any right that flood every port of nocreds; comes back when all of them are at it.
 *
 * @param namespace one that is not enabled
 */
export async function startFlood(
  suite: Suite,
  namespace: string,
  seconds: number,
  parts: readonly FloodPart[],
): Promise<Flood> {
  const { kubectl } = suite
  const inNamespace = ['--namespace', namespace]
  const { services, pods, metrics } = await servers(suite)
  const objects = parts.flatMap((part, at) => {
    const streams = [
      ...streamsTo(services, part.toServices),
      ...streamsTo(pods, part.toPods),
      ...streamsTo(metrics, part.toMetrics),
    ]
    const flood = { seconds, opensPerSecond: part.opensPerSecond, bodyBytes: BODY_BYTES, streams }
    const { cpu, hostNetwork: isOnHost = false } = part
    return Array.from({ length: part.pods }, (_, nth) =>
      floodPod(`flood-${at}-${nth}`, flood, { seconds, isOnHost, cpu }),
    )
  })
  await kubectl(
    ['apply', '-f', '-', ...inNamespace],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
  )
  const said = async (): Promise<string[][]> => {
    const names = (await kubectl(['get', 'pods', '--output', 'name', ...inNamespace])).split('\n')
    const logs = await Promise.all(names.map((name) => kubectl(['logs', name, ...inNamespace])))
    return logs.map((log) => log.split('\n').filter((line) => line !== ''))
  }
  const linesOfEach = (lines: number) => async () => {
    const all = await said()
    return all.every((log) => log.length >= lines) ? all : undefined
  }
  await waitFor('every pod to flood', 120_000, linesOfEach(1))
  return {
    async ended() {
      const all = await waitFor('every flood to end', (seconds + 120) * 1000, linesOfEach(2))
      await kubectl(['delete', 'pods', '--selector=app=flood', '--wait=false', ...inNamespace])
      return sumOf(all.map((log) => JSON.parse(log[1] ?? '{}') as Record<string, Did>))
    },
  }
}

function sumOf(pods: readonly Readonly<Record<string, Did>>[]): Record<string, Did> {
  const sums: Record<string, Did> = {}
  for (const [way, { opened, sentBytes }] of pods.flatMap((pod) => Object.entries(pod))) {
    const sum = (sums[way] ??= { opened: 0, sentBytes: 0 })
    sum.opened += opened
    sum.sentBytes += sentBytes
  }
  return sums
}

function streamsTo(servers: readonly Server[], connections: Connections): object[] {
  return servers.flatMap((server) =>
    Object.entries(connections)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => ({
        ...server,
        name: `${server.name} ${kind}`,
        kind,
        connections: count,
      })),
  )
}
