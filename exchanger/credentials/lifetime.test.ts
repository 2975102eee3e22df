import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isPlausibleStsTime, lifetimeMsOf } from './lifetime.ts'

const NOW = Date.UTC(2026, 10, 24, 12)
const MINUTE = 60_000
const minutes = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min * MINUTE, max: max * MINUTE })

/** STS grants what is requested, at NOW; clocks are off by these amounts. */
const life = (requestedMs: number, nodeOffMs: number, dateOffMs: number | undefined): number =>
  lifetimeMsOf({
    expiresAtMs: NOW + requestedMs,
    nodeNowMs: NOW + nodeOffMs,
    stsNowMs: dateOffMs === undefined ? undefined : NOW + dateOffMs,
    requestedMs,
  }) ?? 0

describe('lifetimeMsOf', () => {
  test('is never longer than the real one, whatever the Date and the node`s clock say', () => {
    const off = minutes(-600, 600)
    const date = fc.option(off, { nil: undefined })
    fc.assert(
      fc.property(minutes(30, 720), off, date, (requestedMs, nodeOffMs, dateOffMs) => {
        expect(life(requestedMs, nodeOffMs, dateOffMs)).toBeLessThanOrEqual(requestedMs)
      }),
    )
  })

  test('of an STS that grants less than requested, if either clock is right', () => {
    const off = minutes(-600, 600)
    const given = fc.tuple(minutes(1, 60), minutes(61, 720), off, fc.boolean())
    fc.assert(
      fc.property(given, ([lifeMs, requestedMs, offMs, isNodeRight]) => {
        fc.pre(Math.abs(lifeMs - offMs - requestedMs) > MINUTE) // what looks as wanted, but is not
        const clocks = isNodeRight ? [NOW, NOW + offMs] : [NOW + offMs, NOW]
        const [nodeNowMs = 0, stsNowMs] = clocks
        const found = lifetimeMsOf({ expiresAtMs: NOW + lifeMs, nodeNowMs, stsNowMs, requestedMs })
        expect(found).toBeLessThanOrEqual(lifeMs)
      }),
    )
  })

  test('is the requested one if one of the clocks is right', () => {
    fc.assert(
      fc.property(minutes(30, 720), minutes(-600, 600), (requestedMs, offMs) => {
        expect(life(requestedMs, offMs, 0)).toBe(requestedMs)
        // A Date that is off by less than a minute makes it shorter by that.
        expect(life(requestedMs, 0, offMs)).toBeGreaterThanOrEqual(requestedMs - MINUTE)
        expect(life(requestedMs, 0, undefined)).toBe(requestedMs)
      }),
    )
  })

  test('cannot be determined if the expiry is invalid, past, or days away', () => {
    const requestedMs = 60 * MINUTE
    for (const expiresAtMs of [NaN, NOW, NOW - MINUTE, NOW + 3 * 24 * 60 * MINUTE]) {
      const clocks = { expiresAtMs, nodeNowMs: NOW, stsNowMs: NOW, requestedMs }
      expect(lifetimeMsOf(clocks)).toBeUndefined()
    }
  })
})

test.each([
  ['at the issue', 0, true],
  ['at the end', 60, true],
  ['a clock somewhat off', -15, true],
  ['before the token was made', -16, false],
  ['after it ended', 76, false],
])('a Date %s of the token', (_what, afterMinutes, is) => {
  const claims = {
    issuer: '',
    subject: '',
    audiences: [],
    issuedAtMs: NOW,
    expiresAtMs: NOW + 60 * MINUTE,
  }
  expect(isPlausibleStsTime(NOW + afterMinutes * MINUTE, claims)).toBe(is)
  expect(isPlausibleStsTime(undefined, claims)).toBe(false)
})
