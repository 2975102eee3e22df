import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { publishedExpirationMs } from '../../contract/credentials.ts'
import { refreshDelayMs, resumeDelayMs, retryDelayMs } from './schedule.ts'

const MINUTE = 60_000
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const publishedOf = (lifeMs: number): number => publishedExpirationMs(lifeMs, lifeMs)

describe('refresh', () => {
  test('lives of an hour and more: half of the life, give or take a tenth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 60 * MINUTE, max: 720 * MINUTE }), chance, (lifeMs, random) => {
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(delayMs).toBeGreaterThanOrEqual(lifeMs * 0.45 - 1)
        expect(delayMs).toBeLessThanOrEqual(lifeMs * 0.55 + 1)
      }),
    )
  })

  test('lives of 30 minutes and more: more than 15 published minutes are left, even after 2 more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 30 * MINUTE, max: 720 * MINUTE }),
        fc.integer({ min: 0, max: 30_000 }),
        chance,
        (lifeMs, exchangeMs, random) => {
          const publishedMs = publishedOf(lifeMs) - exchangeMs
          const delayMs = refreshDelayMs(publishedMs, () => random)
          expect(publishedMs - delayMs).toBeGreaterThanOrEqual(17 * MINUTE - 1)
          expect(delayMs).toBeGreaterThan(5 * MINUTE)
        },
      ),
    )
  })

  test('lives over 40 minutes: never later than 20 minutes before the real end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 40 * MINUTE, max: 720 * MINUTE }), chance, (lifeMs, random) => {
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(lifeMs - delayMs).toBeGreaterThanOrEqual(20 * MINUTE)
      }),
    )
  })

  test('short lives: still near the middle, and before the published end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 28 * MINUTE - 1 }), chance, (lifeMs, random) => {
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(delayMs).toBeGreaterThanOrEqual(lifeMs * 0.45 - 1)
        expect(delayMs).toBeLessThan(publishedOf(lifeMs))
      }),
    )
  })

  test('is spread, so that pods that started together do not ask together', () => {
    const delays = [0, 0.25, 0.5, 0.75].flatMap((random) =>
      [30, 60].map((minutes) => refreshDelayMs(publishedOf(minutes * MINUTE), () => random)),
    )
    expect(new Set(delays).size).toBe(delays.length)
  })

  test('after a restart what is left counts: at once below 17 minutes, else never later than new', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 720 * MINUTE }), chance, (publishedMs, random) => {
        const delayMs = resumeDelayMs(publishedMs, () => random)
        if (publishedMs <= 17 * MINUTE) expect(delayMs).toBe(0)
        expect(delayMs).toBeGreaterThanOrEqual(0)
        expect(delayMs).toBeLessThanOrEqual(refreshDelayMs(publishedMs, () => random))
      }),
    )
  })
})

describe('retry', () => {
  test('transient: full jitter below a ceiling that doubles from 1 s to 60 s, at least 250 ms', () => {
    const ceilings = [1, 2, 3, 4, 5, 6, 7, 8, 2000].map((failures) =>
      Math.round(retryDelayMs('transient', failures, () => 1 - 1e-12)),
    )
    expect(ceilings).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), chance, (failures, random) => {
        const delayMs = retryDelayMs('transient', failures, () => random)
        expect(delayMs).toBeGreaterThanOrEqual(250)
        expect(delayMs).toBeLessThanOrEqual(60_000)
      }),
    )
    expect(retryDelayMs('transient', 1, () => 0)).toBe(250)
  })

  test('refused: about a minute, whatever the count; token: a minute at the latest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), chance, (failures, random) => {
        const delayMs = retryDelayMs('refused', failures, () => random)
        expect(delayMs).toBeGreaterThanOrEqual(45_000)
        expect(delayMs).toBeLessThanOrEqual(75_000)
        expect(retryDelayMs('token', failures, () => random)).toBe(60_000)
      }),
    )
  })
})
