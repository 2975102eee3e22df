import { start } from '../../../test/fakes/exchanger-pod.ts'
import { anonymousMiB, childrenOf } from '../proc.ts'
import type { Section } from '../section.ts'
import { nameOf, published, withSidecar, withHarness, type Harness } from './harness.ts'
import type { Kept } from './loopback.ts'
import { LIFETIME_SECONDS } from './memory.ts'

const GOAL_MIB = 48
const LOOK_MS = 4

const KEPT: readonly Kept[] = [
  { delivery: 'process' },
  { delivery: 'endpoint' },
  { certificate: true },
  { delivery: 'process', certificate: true },
  { delivery: 'process', roles: 3 },
]

/** The most that resident process and exchange have together, and the gate beside them at the start. */
export async function measurePeakMemory(refreshes = 20): Promise<Section> {
  const peaks = await withHarness(
    (harness) => Promise.all(KEPT.map((kept) => peakOf(harness, kept, refreshes))),
    LIFETIME_SECONDS,
  )
  const most = Math.max(...peaks.map(({ together }) => together))
  return {
    title: 'Peak of resident process and exchange',
    goal: `< ${GOAL_MIB} MiB anonymous, so that the limit of 64Mi holds`,
    measured: `${most.toFixed(1)} MiB`,
    verdict: most < GOAL_MIB ? 'reached' : 'missed',
    detail: [
      `RssAnon of both every ${LOOK_MS} ms through ${refreshes} refreshes, over TLS`,
      ...peaks.map(
        ({ kept, together, exchange, withGate }) =>
          `${nameOf(kept)}: ${together.toFixed(1)} MiB, of which the exchange alone at most ${exchange.toFixed(1)}; at the start, with the gate: ${withGate.toFixed(1)} MiB`,
      ),
    ],
  }
}

function peakOf(harness: Harness, kept: Kept, refreshes: number) {
  const most = { kept, together: 0, exchange: 0, withGate: 0 }
  return withSidecar(harness, kept, async (sidecar, pod) => {
    const gate = start(harness.exchanger, 'wait', pod.env)
    const look = setInterval(() => {
      const exchange = childrenOf(sidecar.pid).map(anonymousOrNone)
      const both = exchange.reduce((sum, one) => sum + one, anonymousOrNone(sidecar.pid))
      most.exchange = Math.max(most.exchange, ...exchange)
      most.together = Math.max(most.together, both)
      most.withGate = Math.max(most.withGate, both + anonymousOrNone(gate.pid))
    }, LOOK_MS)
    try {
      await gate.exited
      await published(sidecar, kept, refreshes)
    } finally {
      clearInterval(look)
    }
    return most
  })
}

/** 0 for a process that has just ended. */
function anonymousOrNone(pid: number): number {
  try {
    return anonymousMiB(pid)
  } catch {
    return 0
  }
}
