import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Refusal } from '../refusal.ts'
import { readBody, readToken } from './body.ts'

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
  return 'taken'
}

describe('the body', () => {
  test('everything that is sent is accepted or refused, and never crashes it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(['request-invalid', 'duration-out-of-bounds']).toContain(
          codeOf(() => readBody(text)),
        )
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    [3600, 'taken'],
    [86_400, 'taken'],
    [3599, 'duration-out-of-bounds'],
    [86_401, 'duration-out-of-bounds'],
    [3600.5, 'duration-out-of-bounds'],
    [-1, 'duration-out-of-bounds'],
    [null, 'duration-out-of-bounds'],
  ])('durationSeconds %j: %s', (durationSeconds, expected) => {
    expect(codeOf(() => readBody(JSON.stringify({ csr: 'x', durationSeconds })))).toBe(expected)
  })

  test('a CSR over the limit is refused before it is parsed', () => {
    const text = JSON.stringify({ csr: 'x'.repeat(16_385), durationSeconds: 3600 })
    expect(codeOf(() => readBody(text))).toBe('request-invalid')
  })
})

describe('the token', () => {
  test.each([
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer a.b.c', 'a.b.c'],
  ])('%s', (header, token) => {
    expect(readToken(header)).toBe(token)
  })

  test.each([
    undefined,
    '',
    'a.b.c',
    'Basic a',
    'Bearer ',
    'Bearer a b',
    `Bearer ${'a'.repeat(8193)}`,
  ])('none in %j', (header) => {
    expect(codeOf(() => readToken(header))).toBe('token-invalid')
  })
})
