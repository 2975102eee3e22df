import { Harness, type Round } from './harness.ts'
import { residentMb } from './proc.ts'
import type { Running } from './processes.ts'
import { alternate, p99Of, rateOf, ratios, table, type Pair } from './rounds.ts'
import type { Section } from './section.ts'
import { median, spread } from './statistics.ts'

const CLUSTER = { namespaces: 10_000, serviceAccounts: 100_000 } as const
const CHANGES_PER_SECOND = 1000
const ROUND_MS = 3000
const PAIRS = { warmUps: 3, pairs: 11 } as const
const GOAL = { residentMb: 200, readyS: 15, rate: 0.9, p99: 1.5 } as const

interface Measured {
  readonly readyS: number
  /** After the lists, and at most over the whole measurement. */
  readonly residentMb: { readonly listed: number; readonly peak: number }
  /** A small cluster beside the large one. */
  readonly bySize: readonly Pair[]
  /** The large cluster at rest beside itself under changes. */
  readonly byChanges: readonly Pair[]
}

/** 100,000 ServiceAccounts and 10,000 Namespaces: memory, time to ready, rate, a storm of changes. */
export function measureScale(): Promise<Section> {
  return Harness.with(async (harness) => {
    const small = await harness.webhook({
      kubeConfig: await harness.kubeConfig(await clusterOf(harness, 1, 1)),
    })
    const cluster = await clusterOf(harness, CLUSTER.namespaces, CLUSTER.serviceAccounts)
    const kubeConfig = await harness.kubeConfig(cluster)
    const startedAt = performance.now()
    const large = await harness.webhook({ kubeConfig })
    const readyS = (performance.now() - startedAt) / 1000
    const listed = residentMb(large.pid)
    const bySize = await alternate(
      () => harness.load(small, ROUND_MS),
      () => harness.load(large, ROUND_MS),
      PAIRS,
    )
    const under = async (changesPerSecond: number): Promise<Round> => {
      await tell(cluster, changesPerSecond)
      return harness.load(large, ROUND_MS)
    }
    const byChanges = await alternate(
      () => under(0),
      () => under(CHANGES_PER_SECOND),
      PAIRS,
    )
    const { peak } = residentMb(large.pid)
    return sectionOf({ readyS, residentMb: { listed: listed.now, peak }, bySize, byChanges })
  })
}

function clusterOf(harness: Harness, ...sizes: readonly number[]): Promise<Running> {
  return harness.program('cluster.ts', [...harness.tlsFiles, ...sizes.map(String)])
}

/** From now on so many ServiceAccounts change a second. */
function tell({ child }: Running, changesPerSecond: number): Promise<void> {
  return new Promise((resolve, reject) => {
    child.send(changesPerSecond, (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}

function sectionOf({ readyS, residentMb: memory, bySize, byChanges }: Measured): Section {
  const rates = ratios(bySize, rateOf)
  const p99s = ratios(byChanges, p99Of)
  const isReached =
    memory.peak < GOAL.residentMb &&
    readyS < GOAL.readyS &&
    median(rates) >= GOAL.rate &&
    median(p99s) <= GOAL.p99
  return {
    title: 'Scale',
    goal: `100,000 ServiceAccounts, 10,000 Namespaces: RSS under ${GOAL.residentMb} MB, ready within ${GOAL.readyS} s, rate within 10 % of a small cluster's; ${CHANGES_PER_SECOND} changes a second raise p99 at most ${GOAL.p99} times`,
    measured: `RSS at most ${memory.peak.toFixed(0)} MB, ready in ${readyS.toFixed(1)} s, rate ${spread(rates, 2)} times, p99 ${spread(p99s, 2)} times`,
    verdict: isReached ? 'reached' : 'missed',
    detail: [
      `Lists over TLS in pages of 500, each object with \`managedFields\`, each ServiceAccount with a role. RSS was ${memory.listed.toFixed(0)} MB when ready, at most ${memory.peak.toFixed(0)} MB over all that follows.`,
      '',
      ...table({
        'small cluster': bySize.map(({ one }) => one),
        'large cluster': bySize.map(({ other }) => other),
        'large, at rest': byChanges.map(({ one }) => one),
        [`large, ${CHANGES_PER_SECOND} changes/s`]: byChanges.map(({ other }) => other),
      }),
    ],
  }
}
