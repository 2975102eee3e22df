/**
 * A stranger who may do nothing but run pods, in a namespace that is not enabled, floods every port of nocreds, while
 * a team rolls out thirty pods with roles and certificates. No container restarts, memory stays, and every pod starts.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { AUTHORITY } from '../../contract/certificates.ts'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import { apiserverOf, type Apiserver } from '../support/apiserver.ts'
import { useSource } from '../support/certificates.ts'
import { startFlood, type Connections, type FloodPart } from '../support/flood.ts'
import { memoryDuring, type Watched } from '../support/node-memory.ts'
import { streamPodsDuring } from '../support/pod-stream.ts'
import {
  closeSuite,
  createTeam,
  openSuite,
  podSpec,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

const SECONDS = 60
const REPLICAS = 30
/** The limits of the manifests, less a fifth. */
const memoryBytesOf = (name: string): number =>
  0.8 * (name.startsWith(AUTHORITY.service) ? 256 : 384) * 1024 * 1024
/** What a flood sends at least, on a slow machine, too; a fast one lets it send gigabytes. */
const SENT_BYTES = 1e8
/** By the limit of a call, or by that of all an exchanger does for its first credentials or certificate. */
const TOO_SLOW = /^(ETIMEDOUT|ExchangeTimeout): no (exchange|certificate)/
const SYSTEM = ['--namespace', AUTHORITY.namespace]

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly status: Readonly<
      Partial<Record<'initContainerStatuses' | 'containerStatuses', readonly Container[]>>
    >
  }[]
}

interface Container {
  readonly name: string
  readonly containerID: string
  readonly restartCount: number
  readonly ready: boolean
  readonly lastState: { readonly terminated?: { readonly message?: string } }
}

let suite: Suite
let api: Apiserver
let team: Team
let stranger: string

beforeAll(async () => {
  suite = await openSuite('flood')
  api = await apiserverOf(suite.kubectl)
  // By the authority: with the cluster's own PodCertificateRequests no pod would need its port.
  await useSource(suite, 'authority')
  team = await createTeam(suite, 'team', { annotations: { 'nocreds.dev/certificate': 'true' } })
  // Nothing of an older rollout is left, which would be counted and flooded.
  await waitFor('two replicas of webhook and authority', 120_000, async () =>
    (await containersIn(SYSTEM)).length === 4 ? true : undefined,
  )
  stranger = `${suite.prefix}-stranger`
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: stranger } })
}, 300_000)

afterAll(async () => {
  await closeSuite(suite)
  await useSource(suite, 'auto')
}, 300_000)

async function containersIn(inNamespace: readonly string[]): Promise<(Container & Watched)[]> {
  const { items } = await suite.kubectl.get<Pods>(['pods', ...inNamespace])
  return items.flatMap(({ metadata, status }) =>
    [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map((one) => ({
      ...one,
      containerId: one.containerID,
      name: `${metadata.name}/${one.name}`,
    })),
  )
}

const restarts = (containers: readonly Container[]): Record<string, number> =>
  Object.fromEntries(containers.map(({ name, restartCount }) => [name, restartCount]))

/** Thirty pods, each with a role and a certificate; comes back when all of them run. */
async function rollOut(name: string): Promise<void> {
  const labels = { app: name }
  const app = { name: 'app', image: IMAGES.appJavascript, command: ['sleep', '3600'] }
  const template = { metadata: { labels }, spec: podSpec(app) }
  const spec = { replicas: REPLICAS, selector: { matchLabels: labels }, template }
  const metadata = { name, namespace: team.namespace }
  await suite.kubectl.apply({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec })
  const status = ['rollout', 'status', `deployment/${name}`, '--timeout=240s']
  await suite.kubectl([...status, '--namespace', team.namespace])
}

async function removed(name: string): Promise<void> {
  const inTeam = ['--namespace', team.namespace]
  await suite.kubectl(['delete', 'deployment', name, '--wait=false', ...inTeam])
  await waitFor('its pods to be gone', 120_000, async () => {
    const left = ['pods', `--selector=app=${name}`, '--output', 'name', ...inTeam]
    return (await suite.kubectl(['get', ...left])) === '' ? true : undefined
  })
}

/** Scrapes like Prometheus, through the apiserver; returns how often each replica did not answer. */
async function scrapeDuring(containers: readonly Watched[], done: AbortSignal): Promise<object> {
  const counts: Record<string, { asked: number; inVain: number }> = {}
  while (!done.aborted) {
    for (const { name } of containers) {
      const pod = name.split('/')[0]!
      const port = pod.startsWith('nocreds-webhook') ? 9090 : 9091
      const path = `/api/v1/namespaces/${AUTHORITY.namespace}/pods/${pod}:${port}/proxy/metrics`
      const count = (counts[pod] ??= { asked: 0, inVain: 0 })
      count.asked += 1
      const answer = await api({ method: 'GET', path }).catch(() => ({ status: 0 }))
      if (answer.status !== 200) count.inVain += 1
    }
    await sleep(realClock, 5000)
  }
  return counts
}

/** Of one pod, to each server of a kind. */
const NONE: Connections = { body: 0, headers: 0, tls: 0, tcp: 0 }

const CASES: Readonly<Record<string, readonly FloodPart[]>> = {
  'one pod': [
    {
      pods: 1,
      toServices: { body: 160, headers: 100, tls: 200, tcp: 400 },
      toPods: { body: 20, headers: 20, tls: 50, tcp: 100 },
      toMetrics: { body: 20, headers: 100, tls: 0, tcp: 200 },
      opensPerSecond: 250,
      cpu: '100m',
    },
  ],
  'ten pods, two of them from the address of the apiserver and the kubelet': [
    {
      pods: 8,
      toServices: { body: 100, headers: 40, tls: 60, tcp: 100 },
      toPods: { body: 10, headers: 10, tls: 10, tcp: 20 },
      toMetrics: { body: 5, headers: 20, tls: 0, tcp: 40 },
      opensPerSecond: 40,
      cpu: '10m',
    },
    {
      pods: 2,
      hostNetwork: true,
      toServices: NONE,
      toPods: { body: 100, headers: 40, tls: 60, tcp: 100 },
      toMetrics: { body: 5, headers: 20, tls: 0, tcp: 40 },
      opensPerSecond: 40,
      cpu: '10m',
    },
  ],
}

/** What a flood met, and what became of the rollout meanwhile. */
async function underFlood(name: string, parts: readonly FloodPart[], before: readonly Watched[]) {
  const startedMs = realClock.monotonic()
  const flood = await startFlood(suite, stranger, SECONDS, parts)
  const done = new AbortController()
  const scraped = scrapeDuring(before, done.signal)
  const ended = flood.ended()
  const streamed = streamPodsDuring(api, team, () => ended, { pauseMs: 1000 })
  // Its failure is told after what else was seen.
  const rolledOut = rollOut(name).then(
    () => `after ${Math.round((realClock.monotonic() - startedMs) / 1000)} s`,
    (error: unknown) => messageOf(error),
  )
  const [took, stream, did] = await Promise.all([rolledOut, streamed, ended])
  done.abort()
  return { took, stream, did, scraped: await scraped }
}

test.each(Object.entries(CASES))(
  '%s',
  async (title, parts) => {
    const name = `rolls-out-${Object.keys(CASES).indexOf(title)}`
    const before = await containersIn(SYSTEM)
    const work = (): ReturnType<typeof underFlood> => underFlood(name, parts, before)
    const { result, peaks } = await memoryDuring(suite.host, before, work)
    const { did, ...seen } = result
    for (const line of [seen, ...peaks, did]) suite.host.progress.say(JSON.stringify(line))

    // The flood was one: each way to each server was open, and bodies went in.
    const ways = Object.entries(did)
    expect(ways.filter(([, { opened }]) => opened === 0).map(([way]) => way)).toEqual([])
    const sentBytes = ways.reduce((sum, [, one]) => sum + one.sentBytes, 0)
    expect(sentBytes).toBeGreaterThan(SENT_BYTES)
    expect(restarts(await containersIn(SYSTEM))).toEqual(restarts(before))
    expect(seen.took).toMatch(/^after/)
    const pods = await containersIn(['--namespace', team.namespace, `--selector=app=${name}`])
    expect(pods).toHaveLength(2 * REPLICAS)
    expect(pods.filter(({ ready }) => !ready).map((one) => one.name)).toEqual([])
    // How long 30 pods take to start on this node is not asked; that all of them start is, above.
    // So an exchanger may run out of time and start again, but end for no other reason.
    const ends = pods.flatMap((one) => one.lastState.terminated?.message ?? [])
    expect(ends.filter((message) => !TOO_SLOW.test(message))).toEqual([])
    expect(peaks.filter(({ samples }) => samples < SECONDS / 2)).toEqual([])
    expect(
      peaks.filter(({ name: one, chargedBytes }) => chargedBytes > memoryBytesOf(one)),
    ).toEqual([])
    await removed(name)
  },
  600_000,
)
