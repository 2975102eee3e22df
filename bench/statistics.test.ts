import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { median, slope, spread } from './statistics.ts'

const numbers = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 2, maxLength: 50 })

describe('median', () => {
  test('half of the values are not above it, half not below', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const middle = median(values)
        expect(values).toContain(middle)
        const half = Math.ceil(values.length / 2)
        expect(values.filter((value) => value <= middle).length).toBeGreaterThanOrEqual(half)
        expect(values.filter((value) => value >= middle).length).toBeGreaterThanOrEqual(half)
      }),
    )
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

  test('turns round with the values', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        expect(slope(values.toReversed())).toBeCloseTo(-slope(values), 6)
      }),
    )
  })
})

test('a spread is median and range', () => {
  expect(spread([3.26, 1.04, 2.5], 1)).toBe('2.5 (1.0–3.3)')
})
