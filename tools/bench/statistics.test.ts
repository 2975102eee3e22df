import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { lineThrough, median, quantile, slope, spread } from './statistics.ts'

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 })

describe('quantile', () => {
  test('is one of the values, and no more than its part of them lies below it', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, part) => {
        const found = quantile(all, part)
        expect(all).toContain(found)
        expect(all.filter((one) => one < found).length).toBeLessThanOrEqual(all.length * part)
      }),
    )
  })

  test('of 1 to 100', () => {
    const all = Array.from({ length: 100 }, (_one, index) => 100 - index)
    expect([quantile(all, 0), median(all), quantile(all, 0.99), quantile(all, 1)]).toEqual([
      1, 50, 99, 100,
    ])
    expect(spread(all, 1)).toBe('50.0 (1.0–100.0)')
  })

  test('of nothing is an error', () => {
    expect(() => median([])).toThrow('no values')
  })
})

describe('lineThrough', () => {
  test('finds the line through the points', () => {
    const number = fc.integer({ min: -1000, max: 1000 })
    const places = fc.uniqueArray(number, { minLength: 2, maxLength: 20 })
    fc.assert(
      fc.property(places, number, number, (xs, slope, intercept) => {
        const line = lineThrough(xs.map((x) => [x, slope * x + intercept]))
        expect(line.slope).toBeCloseTo(slope, 6)
        expect(line.intercept).toBeCloseTo(intercept, 3)
        expect(line.fit).toBeCloseTo(1, 6)
      }),
    )
  })

  test('a low fit is reported for points that are not in line', () => {
    const square = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((x) => [x, (x - 5.5) ** 2] as const)
    expect(lineThrough(square).fit).toBeCloseTo(0, 6)
  })

  test('through points at the same place is an error', () => {
    expect(() => lineThrough([[1, 1], [1, 2]])).toThrow('all points stand at one place') // prettier-ignore
  })
})

describe('slope', () => {
  test('of a line is its rise, wherever it starts', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: -99, max: 99 }), (start, rise) => {
        const line = Array.from({ length: 20 }, (_, index) => (start % 1e6) + rise * index)
        expect(slope(line)).toBeCloseTo(rise, 6)
      }),
    )
  })
})
