import { peakByChance } from './chance.ts'
import { costOf, evennessOf, recoveryOf } from './figures.ts'
import type { FleetRecord } from './fleet.ts'
import { SCENARIOS, THROTTLE } from './scenarios.ts'

const GOALS = {
  peakOverMean: 1.2,
  recoveryPeak: 2 * THROTTLE.perSecond,
  recoverySeconds: 600,
  /** Cost of a pod in the largest fleet over that in each other one, either way. */
  costRatio: 1.05,
} as const

/** The records of one fleet. */
export type Runs = Readonly<Record<keyof typeof SCENARIOS, FleetRecord>>

/** A goal for a fleet, what was measured, and whether it is met. */
export interface Verdict {
  readonly pods: number
  readonly measured: string
  readonly verdict: string
}

const met = (isMet: boolean): string => (isMet ? 'met' : '**not met**')

/** Busiest minute over the mean after three lifetimes, beside what chance alone gives. */
export function evenVerdict(record: FleetRecord): Verdict {
  const { peakOverMean, meanPerMinute, minutes } = evennessOf(record)
  const [half, most] = [0.5, 0.95].map((share) => peakByChance(meanPerMinute, minutes, share)) as [
    number,
    number,
  ]
  const isMet = peakOverMean <= GOALS.peakOverMean
  const isByChance = !isMet && peakOverMean <= most
  return {
    pods: record.pods,
    measured: `${peakOverMean.toFixed(3)}; chance alone: ${half.toFixed(3)}, 1 in 20 above ${most.toFixed(3)}`,
    verdict: isByChance ? 'not met: no more than chance' : met(isMet),
  }
}

/** No pod is ever without valid credentials, STS being down for 10 minutes. */
export function lapseVerdict({ down10 }: Runs): Verdict {
  const { pods, lapses } = down10
  return { pods, measured: `${lapses} pods without`, verdict: met(lapses === 0) }
}

/** The peak after 40 minutes, and until when everyone is served. */
export function recoveryVerdict({ down40 }: Runs): Verdict {
  const recovery = recoveryOf(down40, SCENARIOS.down40.outage)
  const { peakAfterwards, allServedAfterSeconds } = recovery
  const isMet =
    peakAfterwards <= GOALS.recoveryPeak && allServedAfterSeconds <= GOALS.recoverySeconds
  return {
    pods: down40.pods,
    measured: `${peakAfterwards} calls/s, all served after ${allServedAfterSeconds} s`,
    verdict: met(isMet),
  }
}

/** What a pod costs beside one of the largest fleet, in the scenario with the largest difference. */
export function costVerdict(runs: Runs, largest: Runs): Verdict {
  const names = Object.keys(SCENARIOS) as (keyof typeof SCENARIOS)[]
  const costs = names.map((name) => costOf(runs[name]).callsAPodAndHour)
  const ratios = names.map((name, n) => costOf(largest[name]).callsAPodAndHour / (costs[n] ?? 0))
  const farthest = Math.max(...ratios.map((ratio) => Math.max(ratio, 1 / ratio)))
  const { pods } = runs.healthy
  const isMet = farthest <= GOALS.costRatio
  return {
    pods,
    measured: `${costs.map((cost) => cost.toFixed(2)).join(' / ')} calls a pod and hour; at most ${((farthest - 1) * 100).toFixed(1)} % from the largest fleet`,
    verdict: !isMet && pods === 1 ? 'not met: one pod, so chance' : met(isMet),
  }
}
