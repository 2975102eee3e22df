import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { RE2 } from 're2-wasm'
import { permission } from './permission.ts'

const ROLE = 'arn:aws:iam::111122223333:role/'

function permits(expression: string | undefined, arn: string): boolean {
  const compiled = permission(expression)
  if (!compiled.valid) throw new Error(compiled.why)
  return compiled.permits(arn)
}

describe('permitted-roles', () => {
  test('matches the whole ARN', () => {
    expect(permits(`${ROLE}app`, `${ROLE}app`)).toBe(true)
    expect(permits(`${ROLE}app`, `${ROLE}app2`)).toBe(false)
    expect(permits('role/app', `${ROLE}app`)).toBe(false)
    expect(permits(`${ROLE}team-a/.*`, `${ROLE}team-a/x/y`)).toBe(true)
  })

  test('anchors an alternation as a whole', () => {
    expect(permits(`${ROLE}a|${ROLE}b`, `${ROLE}a`)).toBe(true)
    expect(permits(`${ROLE}a|${ROLE}b`, `${ROLE}b`)).toBe(true)
    expect(permits(`${ROLE}a|${ROLE}b`, `${ROLE}admin`)).toBe(false)
    expect(permits(`${ROLE}a|${ROLE}b`, `x${ROLE}b`)).toBe(false)
    expect(permits('|.+', `${ROLE}a`)).toBe(true)
  })

  test('a line break does not match the end of the expression', () => {
    expect(permits(`${ROLE}a`, `${ROLE}a\n`)).toBe(false)
    expect(permits(`(?m)${ROLE}a`, `${ROLE}a\nx`)).toBe(false)
  })

  test.each([undefined, '', '   '])('permits nothing if it is %j', (expression) => {
    expect(permits(expression, `${ROLE}a`)).toBe(false)
    expect(permits(expression, '')).toBe(false)
  })

  test.each([
    '(',
    '[a',
    'a)|(b',
    '*',
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    'a{1001}',
    '((a{100}){100}){100}',
  ])('refuses %j, which is not RE2', (expression) => {
    expect(permission(expression)).toMatchObject({ valid: false })
  })

  test('refuses an expression that is too long', () => {
    expect(permission('a'.repeat(4097))).toMatchObject({
      valid: false,
      why: 'it has 4097 characters; allowed: at most 4096',
    })
    expect(permission('a'.repeat(4096))).toMatchObject({ valid: true })
    expect(permission(` ${'a'.repeat(4096)}\n`)).toMatchObject({ valid: true })
    expect(permission('😀'.repeat(4096))).toMatchObject({ valid: true })
    expect(permission('😀'.repeat(4097))).toMatchObject({ valid: false })
  })

  test('surrounding white space is ignored', () => {
    expect(permits(` ${ROLE}a\n`, `${ROLE}a`)).toBe(true)
    expect(permits(` ${ROLE}a\n`, ` ${ROLE}a\n`)).toBe(false)
    expect(permits('\t.+ ', `${ROLE}a`)).toBe(true)
  })

  test.each([
    ['.*', true],
    ['|a', true],
    ['a?', true],
    ['(?:a*)(?:b*)', true],
    ['^$', true],
    ['.+', false],
    [`${ROLE}.*`, false],
    ['', false],
    [undefined, false],
  ])('%j matches the empty text: %s; permitted it is by none', (expression, matchesEmptyText) => {
    expect(permission(expression)).toMatchObject({ valid: true, matchesEmptyText })
    expect(permits(expression, '')).toBe(false)
  })

  test('the worst expression for a backtracking engine is as fast as a plain one', () => {
    const arn = ROLE + 'a'.repeat(1900)
    const timed = (expression: string): number => {
      const compiled = permission(expression)
      if (!compiled.valid) throw new Error(compiled.why)
      compiled.permits(arn)
      const startedAt = performance.now()
      for (let round = 0; round < 20; round += 1) compiled.permits(arn)
      return performance.now() - startedAt
    }
    // A ratio of one run, not seconds; a backtracking engine would need 2^1900 steps.
    expect(timed(`${ROLE}(a*)*b|(a|a)*c|(a|aa)+d`)).toBeLessThan(200 * timed(`${ROLE}a+`) + 50)
  })

  test('decides as RE2, anchored', () => {
    const atom = fc.constantFrom(
      'a',
      'b',
      '.',
      '[ab]',
      '[^a]',
      '\\w',
      '\\d',
      'ab',
      '(?i:Z)', // not of a letter that is an atom: the other engine takes `a|(?i:A)` for `a`
      '^',
      '$',
    )
    const { expression } = fc.letrec<{ expression: string }>((tie) => ({
      expression: fc.oneof(
        { maxDepth: 4 },
        atom,
        fc.tuple(tie('expression'), tie('expression')).map(([one, other]) => one + other),
        fc.tuple(tie('expression'), tie('expression')).map(([one, other]) => `${one}|${other}`),
        tie('expression').map((one) => `(?:${one})*`),
        tie('expression').map((one) => `(${one})?`),
        tie('expression').map((one) => `(?:${one}){1,2}`),
      ),
    }))
    const subject = fc.stringMatching(/^[abABzZ1:/]{0,8}$/)
    fc.assert(
      fc.property(expression, subject, (one, text) => {
        const oracle = new RE2(`^(?:${one})$`, 'u')
        expect(permits(one, text)).toBe(text !== '' && oracle.test(text))
      }),
      { numRuns: 800 }, // the other engine frees nothing, and its 16 MiB are full after some 7,000
    )
  })
})
