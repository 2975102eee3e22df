import { seededRandom } from '../../test/fakes/virtual-clock.ts'
import { simulateFleet, type FleetRecord } from './fleet.ts'
import { stsWith, type Outage, type Throttle } from './sts.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** What AWS grants an account and region for AssumeRoleWithWebIdentity by default. */
export const THROTTLE: Throttle = { perSecond: 600, burst: 600 }

export interface Scenario {
  readonly name: string
  /** Completes "… of N pods". */
  readonly title: string
  readonly lifetimeMs: number
  readonly durationMs: number
  readonly outage?: Outage
  readonly throttle?: Throttle
}

const DAY = { lifetimeMs: HOUR_MS, durationMs: 24 * HOUR_MS } as const

function outageOf(minutes: number, fromMs: number): Outage {
  return { fromMs, toMs: fromMs + minutes * MINUTE_MS }
}

/** Those that the goals speak of, each a day long; outages begin after half of it. */
export const SCENARIOS = {
  healthy: { name: 'healthy', title: 'STS answers every call', ...DAY },
  down10: {
    name: 'down-10-minutes',
    title: 'STS is down for 10 minutes',
    ...DAY,
    outage: outageOf(10, 12 * HOUR_MS),
    throttle: THROTTLE,
  },
  down40: {
    name: 'down-40-minutes',
    title: 'STS is down for 40 minutes',
    ...DAY,
    outage: outageOf(40, 12 * HOUR_MS),
    throttle: THROTTLE,
  },
  throttled: {
    name: 'throttled',
    title: 'STS answers 600 calls a second',
    ...DAY,
    throttle: THROTTLE,
  },
} as const satisfies Record<string, Scenario>

/** No goal speaks of these; they show where the schedule's limits are. */
export const BEYOND: readonly Scenario[] = [
  {
    ...SCENARIOS.down40,
    name: 'worst-moment',
    title: 'down for 40 minutes from 20 minutes after the start: all credentials expire meanwhile',
    outage: outageOf(40, 20 * MINUTE_MS),
  },
  { ...SCENARIOS.down40, title: 'down for 4 hours', outage: outageOf(240, 12 * HOUR_MS) },
  {
    ...SCENARIOS.down10,
    title: 'down for the first 10 minutes: no pod has had any credentials',
    outage: outageOf(10, 0),
  },
  {
    ...SCENARIOS.down10,
    title: 'lifetimes of 1800 s, down for 10 minutes',
    lifetimeMs: HOUR_MS / 2,
  },
  {
    ...SCENARIOS.down40,
    title: 'lifetimes of 1800 s, down for 40 minutes',
    lifetimeMs: HOUR_MS / 2,
  },
  {
    ...SCENARIOS.down40,
    title: 'lifetimes of 43200 s, down for 40 minutes',
    lifetimeMs: 12 * HOUR_MS,
    durationMs: 96 * HOUR_MS,
    outage: outageOf(40, 60 * HOUR_MS),
  },
]

/** One run: all pods start within a minute. The same seed gives the same run. */
export function run(scenario: Scenario, pods: number, seed: number): FleetRecord {
  const { lifetimeMs, durationMs, outage, throttle } = scenario
  return simulateFleet({
    pods,
    startSpreadMs: MINUTE_MS,
    durationMs,
    lifetimeMs,
    sts: stsWith(outage, throttle),
    random: seededRandom(seed),
  })
}
