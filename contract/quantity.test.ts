import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { largerOf, nanosOf } from './quantity.ts'

test.each([
  ['100m', '0.1'],
  ['1', '1000m'],
  ['1', '1e0'],
  ['1k', '1e3'],
  ['1k', '1E3'],
  ['1E', '1e18'],
  ['64Mi', String(64 * 1024 * 1024)],
  ['1.5Gi', '1536Mi'],
  ['.5', '500m'],
  ['1.', '1'],
  ['+2', '2'],
  ['100u', '0.1m'],
])('%s is %s', (one, other) => {
  expect(nanosOf(one)).toBeDefined()
  expect(nanosOf(one)).toBe(nanosOf(other))
})

test.each([
  '',
  '.',
  'm',
  '-1',
  '1 ',
  '1mi',
  '1K',
  '0x1',
  '1e',
  '1e999',
  '1,5',
  'NaN',
  null,
  {},
  [],
])('%j is no quantity', (text) => {
  expect(nanosOf(text)).toBeUndefined()
})

test('a number is one, too, and what is finer than a nano is rounded up', () => {
  expect(nanosOf(2)).toBe(nanosOf('2'))
  expect(nanosOf('1e-12')).toBe(1n)
  expect(nanosOf('0')).toBe(0n)
})

test('order is that of the numbers', () => {
  const milli = fc.integer({ min: 0, max: 1_000_000 })
  fc.assert(
    fc.property(milli, milli, (one, other) => {
      expect(nanosOf(`${one}m`)! < nanosOf(`${other}m`)!).toBe(one < other)
      const larger = largerOf(`${one}m`, `${other}m`)
      expect(nanosOf(larger)).toBe(nanosOf(`${Math.max(one, other)}m`))
    }),
  )
})
