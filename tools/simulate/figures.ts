import type { FleetRecord } from './fleet.ts'
import type { Outage } from './sts.ts'

/** Any of the series of a record. */
type Series = Uint32Array | Int32Array

/** Sums of `seconds` seconds each, from a second on; a last part that is not whole is left out. */
export function buckets(series: Series, seconds: number, from = 0, to = series.length): number[] {
  const count = Math.floor((to - from) / seconds)
  return Array.from({ length: count }, (_, n) =>
    total(series.subarray(from + n * seconds, from + (n + 1) * seconds)),
  )
}

export function total(values: Iterable<number>): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

export function highest(values: Iterable<number>): number {
  let highestYet = 0
  for (const value of values) highestYet = Math.max(highestYet, value)
  return highestYet
}

/** A whole number as pages have it. */
export const count = (value: number): string => Math.round(value).toLocaleString('en')

/** From when on the start of the fleet is to be forgotten: after three lifetimes. */
export function steadyFromSecond({ lifetimeMs }: FleetRecord): number {
  return (3 * lifetimeMs) / 1000
}

export interface Evenness {
  /** Busiest minute over the mean of all. */
  readonly peakOverMean: number
  readonly meanPerMinute: number
  readonly minutes: number
}

/** How even the calls are, minute by minute, after three lifetimes. */
export function evennessOf(record: FleetRecord): Evenness {
  const perMinute = buckets(record.calls, 60, steadyFromSecond(record))
  const meanPerMinute = total(perMinute) / perMinute.length
  return {
    peakOverMean: highest(perMinute) / meanPerMinute,
    meanPerMinute,
    minutes: perMinute.length,
  }
}

export interface Cost {
  readonly callsAPodAndHour: number
  /** In the first three lifetimes, above what they would be at that rate: what the start costs. */
  readonly extraCallsAtStart: number
}

/** What a pod costs: calls an hour after three lifetimes, outages included, and the start. */
export function costOf(record: FleetRecord): Cost {
  const { calls, pods } = record
  const from = steadyFromSecond(record)
  const callsAPodAndHour = (total(calls.subarray(from)) / pods / (calls.length - from)) * 3600
  const atStart = total(calls.subarray(0, from)) / pods
  return { callsAPodAndHour, extraCallsAtStart: atStart - (callsAPodAndHour * from) / 3600 }
}

/** The first second that ends with no pod unserved, once all have started, which takes a minute. */
export function startedAfterSeconds({ calls, unserved }: FleetRecord): number {
  return 59 + secondsUntilNone(unserved, 59, calls.length)
}

export interface Recovery {
  /** Most calls in one second, while STS is down. */
  readonly peakWhileDown: number
  /** The same, from its return until every pod is served. */
  readonly peakAfterwards: number
  readonly withoutAtReturn: number
  /** Seconds after its return until half of the pods without credentials, all of them, all pods are served. */
  readonly halfHaveAfterSeconds: number
  readonly allHaveAfterSeconds: number
  readonly allServedAfterSeconds: number
}

export function recoveryOf(record: FleetRecord, outage: Outage): Recovery {
  const { calls, without, unserved } = record
  const from = outage.fromMs / 1000
  const back = outage.toMs / 1000
  const withoutAtReturn = without[back - 1] ?? 0
  const allServedAfterSeconds = secondsUntilNone(unserved, back, calls.length)
  const half = without.findIndex((pods, second) => second >= back && pods <= withoutAtReturn / 2)
  return {
    peakWhileDown: highest(calls.subarray(from, back)),
    peakAfterwards: highest(calls.subarray(back, back + allServedAfterSeconds + 1)),
    withoutAtReturn,
    halfHaveAfterSeconds: withoutAtReturn === 0 ? 0 : half + 1 - back,
    allHaveAfterSeconds: withoutAtReturn === 0 ? 0 : secondsUntilNone(without, back, calls.length),
    allServedAfterSeconds,
  }
}

/** Whole seconds from the beginning of second `from` to the end of the first one that ends with none. */
function secondsUntilNone(pods: Int32Array, from: number, to: number): number {
  for (let second = from; second < to; second += 1) {
    if (pods[second] === 0) return second + 1 - from
  }
  return Infinity
}
