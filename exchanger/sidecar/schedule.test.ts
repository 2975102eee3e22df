import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { publishedExpirationMs } from '../../contract/credentials.ts'
import {
  certificateDelayMs,
  refreshDelayMs,
  resumeDelayMs,
  resumedCertificateDelayMs,
  retryDelayMs,
} from './schedule.ts'

const MINUTE = 60_000
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const publishedOf = (lifeMs: number): number => publishedExpirationMs(lifeMs, lifeMs)

describe('refresh', () => {
  test('lifetimes of 66 minutes and more: between a third and two thirds, so half on average', () => {
    fc.assert(
      fc.property(fc.integer({ min: 66 * MINUTE, max: 720 * MINUTE }), chance, (lifeMs, random) => {
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(delayMs).toBeCloseTo((lifeMs * (1 + random)) / 3, 3)
      }),
    )
  })

  test('lifetimes of an hour: between 19 and 38 minutes', () => {
    expect(refreshDelayMs(publishedOf(60 * MINUTE), () => 0)).toBe(19 * MINUTE)
    expect(refreshDelayMs(publishedOf(60 * MINUTE), () => 1)).toBe(38 * MINUTE)
  })

  test('lifetimes of 30 minutes and more: more than 15 published minutes remain, even 2 minutes later', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 30 * MINUTE, max: 720 * MINUTE }),
        fc.integer({ min: 0, max: 30_000 }),
        chance,
        (lifeMs, exchangeMs, random) => {
          const publishedMs = publishedOf(lifeMs) - exchangeMs
          const delayMs = refreshDelayMs(publishedMs, () => random)
          expect(publishedMs - delayMs).toBeGreaterThanOrEqual(17 * MINUTE - 1)
          expect(delayMs).toBeGreaterThan(4.5 * MINUTE)
        },
      ),
    )
  })

  test('lifetimes over 40 minutes: never later than 20 minutes before the real expiry', () => {
    fc.assert(
      fc.property(fc.integer({ min: 40 * MINUTE, max: 720 * MINUTE }), chance, (lifeMs, random) => {
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(lifeMs - delayMs).toBeGreaterThanOrEqual(20 * MINUTE)
      }),
    )
  })

  test('short lifetimes: between a third and two thirds, so before the published expiry', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 28 * MINUTE - 1 }), chance, (lifeMs, random) => {
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(delayMs).toBeCloseTo((lifeMs * (1 + random)) / 3, 3)
        expect(delayMs).toBeLessThan(publishedOf(lifeMs))
      }),
    )
  })

  test('is spread over a range as wide as its shortest delay, so pods that started together diverge', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 720 * MINUTE }), chance, (lifeMs, random) => {
        const earliestMs = refreshDelayMs(publishedOf(lifeMs), () => 0)
        const delayMs = refreshDelayMs(publishedOf(lifeMs), () => random)
        expect(delayMs).toBeCloseTo(earliestMs * (1 + random), 3)
      }),
    )
  })

  test('after a restart the remaining lifetime counts: immediately below 17 minutes, otherwise never later than for new ones', () => {
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
  const remainingMs = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 720 * MINUTE }))
  const failures = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1e6 }))
  const ceilingsSeconds = (left: number, counts: readonly number[]): number[] =>
    counts.map((count) => retryDelayMs('transient', count, left, () => 1) / 1000)

  test('without credentials: the maximum doubles from 1 s to 2.5 minutes', () => {
    const counts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2000]
    const ceilings = [1, 2, 4, 8, 16, 32, 64, 128, 150, 150, 150]
    expect(ceilingsSeconds(0, counts)).toEqual(ceilings)
  })

  test('with valid ones there is time: from a sixtieth of the remaining lifetime to half of it, at most 5 minutes', () => {
    expect(ceilingsSeconds(25 * MINUTE, [1, 2, 3, 4, 5])).toEqual([25, 50, 100, 200, 300])
    expect(ceilingsSeconds(8 * MINUTE, [1, 2, 5, 6])).toEqual([8, 16, 128, 240])
    expect(ceilingsSeconds(4 * MINUTE, [1, 2, 6, 7])).toEqual([4, 8, 128, 150])
  })

  test('anywhere in the upper half of the maximum', () => {
    fc.assert(
      fc.property(failures, remainingMs, chance, (count, left, random) => {
        const ceilingMs = retryDelayMs('transient', count, left, () => 1)
        const delayMs = retryDelayMs('transient', count, left, () => random)
        expect(delayMs).toBeCloseTo((ceilingMs * (1 + random)) / 2, 3)
        expect(delayMs).toBeGreaterThanOrEqual(500)
      }),
    )
  })

  test('more than 5 minutes left: two more attempts before expiry', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5 * MINUTE + 1, max: 720 * MINUTE }),
        failures,
        chance,
        (left, count, random) => {
          const firstMs = retryDelayMs('transient', count, left, () => random)
          const secondMs = retryDelayMs('transient', count + 1, left - firstMs, () => random)
          expect(firstMs + secondMs).toBeLessThan(left)
        },
      ),
    )
  })

  test('refused and token: the longest delay immediately, whatever the count', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('refused' as const, 'token' as const),
        failures,
        remainingMs,
        chance,
        (failureClass, count, left, random) => {
          const delayMs = retryDelayMs(failureClass, count, left, () => random)
          expect(delayMs).toBe(retryDelayMs('transient', 2000, left, () => random))
          expect(delayMs).toBeGreaterThanOrEqual(75_000)
          expect(delayMs).toBeLessThanOrEqual(5 * MINUTE)
        },
      ),
    )
  })
})

describe('certificates', () => {
  const part = fc.double({ min: 0, max: 0.999, noNaN: true })
  const lifeSeconds = fc.integer({ min: 60, max: 86_400 })

  test('are replaced between 35 % and 45 % of their lifetime, distributed over this range', () => {
    fc.assert(
      fc.property(lifeSeconds, part, (seconds, chance) => {
        const delayMs = certificateDelayMs(seconds * 1000, seconds * 1000, () => chance)
        expect(delayMs / (seconds * 1000)).toBeCloseTo(0.35 + 0.1 * chance, 9)
      }),
    )
  })

  test('at the same age after a restart, or immediately if that has passed', () => {
    fc.assert(
      fc.property(lifeSeconds, part, part, (seconds, lived, chance) => {
        const lifeMs = seconds * 1000
        const livedMs = lived * lifeMs
        const delayMs = resumedCertificateDelayMs(lifeMs, lifeMs - livedMs, () => chance)
        expect(delayMs).toBeCloseTo(Math.max(0, (0.35 + 0.1 * chance) * lifeMs - livedMs), 3)
      }),
    )
  })

  test('never without a pause, whatever the clocks say', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1 }), part, (lifeMs, goodForMs, chance) => {
        const delayMs = certificateDelayMs(lifeMs, goodForMs, () => chance)
        expect(delayMs).toBeGreaterThanOrEqual(1000)
        expect(delayMs).toBeLessThanOrEqual(Math.max(1000, goodForMs / 2))
      }),
    )
  })
})
