import { describe, expect, test } from '@jest/globals'
import { peakByChance } from './chance.ts'
import { buckets, costOf, evennessOf, recoveryOf, startedAfterSeconds } from './figures.ts'
import type { FleetRecord } from './fleet.ts'

/** Ten pods with lifetimes of 20 s: 60 s to start, then 240 s in which each second has `calls`. */
function record(changes: Partial<FleetRecord> = {}): FleetRecord {
  const series = (): Int32Array => new Int32Array(300)
  return {
    pods: 10,
    lifetimeMs: 20_000,
    calls: new Uint32Array(300).fill(2),
    failedCalls: new Uint32Array(300),
    without: series(),
    unserved: series(),
    lapses: 0,
    ...changes,
  }
}

describe('figures', () => {
  test('only whole buckets count', () => {
    expect(buckets(Uint32Array.of(9, 1, 2, 3, 4, 5), 2, 1)).toEqual([3, 7])
  })

  test('evenness counts from three lifetimes on', () => {
    const calls = new Uint32Array(300).fill(2)
    calls[0] = 1000
    calls[130] = 62
    const { peakOverMean, meanPerMinute, minutes } = evennessOf(record({ calls }))
    expect({ meanPerMinute, minutes }).toEqual({ meanPerMinute: 135, minutes: 4 })
    expect(peakOverMean).toBeCloseTo(180 / 135)
  })

  test('cost: calls an hour, and what the start has above that', () => {
    const calls = new Uint32Array(300).fill(2)
    calls[0] = 52
    expect(costOf(record({ calls })).callsAPodAndHour).toBeCloseTo(720)
    expect(costOf(record({ calls })).extraCallsAtStart).toBeCloseTo(5)
  })

  test('a start is complete at the first second, after a minute, in which no pod is unserved', () => {
    expect(startedAfterSeconds(record())).toBe(60)
    const unserved = new Int32Array(300)
    unserved.fill(1, 0, 100)
    expect(startedAfterSeconds(record({ unserved }))).toBe(101)
    expect(startedAfterSeconds(record({ unserved: unserved.fill(1) }))).toBe(Infinity)
  })

  test('recovery: peaks, and how long it takes', () => {
    const calls = new Uint32Array(300).fill(2)
    calls[110] = 7
    calls[125] = 9
    calls[200] = 50 // after everyone is served
    const without = new Int32Array(300).fill(8, 115, 122).fill(4, 122, 124)
    const unserved = new Int32Array(300).fill(9, 105, 130)
    const outage = { fromMs: 100_000, toMs: 120_000 }
    expect(recoveryOf(record({ calls, without, unserved }), outage)).toEqual({
      peakWhileDown: 7,
      peakAfterwards: 9,
      withoutAtReturn: 8,
      halfHaveAfterSeconds: 3,
      allHaveAfterSeconds: 5,
      allServedAfterSeconds: 11,
    })
  })
})

describe('chance alone', () => {
  test('one bucket: the quantile of a Poisson distribution', () => {
    // Mean 1: none 0.368, at most one 0.736, at most two 0.920, at most three 0.981.
    expect([0.3, 0.5, 0.9, 0.95].map((share) => peakByChance(1, 1, share))).toEqual([0, 1, 2, 3])
  })

  test('many buckets: the share of each is to the power of their number', () => {
    expect(peakByChance(1, 2, 0.736 ** 2 - 0.001)).toBe(1)
    expect(peakByChance(1, 2, 0.736 ** 2 + 0.001)).toBe(2)
  })

  test('large means are close to the normal distribution: 3.26 deviations are 1 in 1260 twice', () => {
    expect(peakByChance(3500, 1260, 0.5)).toBeCloseTo(1 + 3.26 / Math.sqrt(3500), 2)
  })
})
