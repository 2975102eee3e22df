/** The laws of the schedule that a single pod cannot show. Fleets are small, and the throttle with them. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { seededRandom } from '../../test/fakes/virtual-clock.ts'
import { buckets, evennessOf, highest, recoveryOf } from './figures.ts'
import { simulateFleet, type FleetRecord } from './fleet.ts'
import { stsWith, type Outage } from './sts.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface FleetScenario {
  readonly pods: number
  readonly minutes: number
  readonly seed: number
  readonly outage?: Outage
  readonly lifetimeMs?: number
}

/** If there is an outage, STS is throttled as well, to 600 calls a second for 100,000 pods. */
function simulate({ pods, minutes, seed, outage, lifetimeMs = HOUR }: FleetScenario): FleetRecord {
  const perSecond = (600 * pods) / 100_000
  return simulateFleet({
    pods,
    startSpreadMs: MINUTE,
    durationMs: minutes * MINUTE,
    lifetimeMs,
    sts: stsWith(outage, outage && { perSecond, burst: Math.max(1, perSecond) }),
    random: seededRandom(seed),
  })
}

const outageOf = (fromMs: number, minutes: number): Outage => ({
  fromMs,
  toMs: fromMs + minutes * MINUTE,
})
/** From when the fleet has started to when it is spread. */
const anyMoment = fc.integer({ min: 10, max: 180 }).map((minutes) => minutes * MINUTE)
const seed = fc.integer()

describe('a fleet', () => {
  test('is even after three lifetimes, though it started at once', () => {
    const { peakOverMean } = evennessOf(simulate({ pods: 12_000, minutes: 300, seed: 1 }))
    expect(peakOverMean).toBeLessThanOrEqual(1.2)
  })

  test('no pod is ever without credentials, STS being down for 10 minutes at any moment', () => {
    fc.assert(
      fc.property(anyMoment, seed, fc.constantFrom(HOUR / 2, HOUR), (fromMs, one, lifetimeMs) => {
        const outage = outageOf(fromMs, 10)
        const minutes = fromMs / MINUTE + 60
        const record = simulate({ pods: 1000, minutes, seed: one, outage, lifetimeMs })
        expect(record.lapses).toBe(0)
        expect(Math.max(...record.unserved)).toBeGreaterThan(100)
      }),
      { numRuns: 10 },
    )
  })

  test('after 40 minutes everyone is served within 10, at any moment', () => {
    fc.assert(
      fc.property(anyMoment, seed, (fromMs, one) => {
        const outage = outageOf(fromMs, 40)
        const minutes = fromMs / MINUTE + 60
        const record = simulate({ pods: 1000, minutes, seed: one, outage })
        expect(record.unserved[outage.toMs / 1000 - 1]).toBeGreaterThan(900)
        expect(recoveryOf(record, outage).allServedAfterSeconds).toBeLessThanOrEqual(600)
      }),
      { numRuns: 10 },
    )
  })

  test.each([
    ['of 40 minutes, when the fleet is spread', 120, 40],
    ['of 40 minutes, from 20 minutes after its start', 20, 40],
    ['of 90 minutes', 60, 90],
  ])('the peak stays below twice the throttle after an outage %s', (_what, from, minutes) => {
    const outage = outageOf(from * MINUTE, minutes)
    const { calls } = simulate({ pods: 5000, minutes: from + minutes + 10, seed: 1, outage })
    // So many calls come in 10 s that chance does not decide; 30 a second is the throttle.
    const peak = highest(buckets(calls, 10, outage.toMs / 1000))
    expect(peak).toBeGreaterThan(30 * 10)
    expect(peak).toBeLessThanOrEqual(2 * 30 * 10)
  })

  test('costs as many calls a pod, large or small', () => {
    const callsAPod = [300, 3000].map((pods) => {
      const { calls } = simulate({ pods, minutes: 720, seed: 1 })
      return calls.slice(3 * 3600).reduce((sum, one) => sum + one, 0) / pods
    })
    expect(callsAPod[0]! / callsAPod[1]!).toBeCloseTo(1, 1)
    expect(callsAPod[1]).toBeCloseTo((9 * 60) / 28.5, 0)
  })

  test('does the same with the same seed, and something else with another', () => {
    const calls = [1, 1, 2].map((one) => simulate({ pods: 50, minutes: 60, seed: one }).calls)
    expect(calls[1]).toEqual(calls[0])
    expect(calls[2]).not.toEqual(calls[0])
  })

  test('a pod that starts while STS is down is restarted by the kubelet until it is back', () => {
    const outage = outageOf(0, 12)
    const { calls, without, unserved, lapses } = simulate({ pods: 1, minutes: 60, seed: 1, outage })
    const callsIn = (from: number, to: number): number =>
      calls.subarray(from, to).reduce((sum, one) => sum + one, 0)
    const start = calls.findIndex((one) => one > 0)
    // 30 s of tries; restarted at once, then after 10 s.
    expect(callsIn(start, start + 30)).toBeGreaterThanOrEqual(5)
    expect(callsIn(start + 30, start + 60)).toBeGreaterThanOrEqual(5)
    expect(callsIn(start + 61, start + 70)).toBe(0)
    expect(callsIn(start + 70, start + 100)).toBeGreaterThanOrEqual(5)
    expect([without[719], unserved[719], lapses]).toEqual([1, 1, 0])
    expect([without.at(-1), unserved.at(-1)]).toEqual([0, 0])
  })
})
