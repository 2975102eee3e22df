import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { plausibleToken, TOKEN } from '../../test/fakes/authority-cluster.ts'
import { Refusal } from '../refusal.ts'
import { requirePlausible } from './precheck.ts'

const NOW = Date.now()

function outcome(token: string): string {
  try {
    requirePlausible(token, NOW)
    return 'plausible'
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    expect(error.code).toBe('token-invalid')
    return error.message
  }
}

describe('a reviewed token', () => {
  test('is one for the authority that is not expired', () => {
    expect(outcome(TOKEN)).toBe('plausible')
    expect(outcome(plausibleToken('x', { aud: 'nocreds.dev/authority' }))).toBe('plausible')
    // Clocks differ a little.
    expect(outcome(plausibleToken('x', { exp: NOW / 1000 - 30 }))).toBe('plausible')
  })

  test.each([
    ['one part', 'junk', 'not a JWT'],
    ['two parts', 'a.b', 'not a JWT'],
    ['four parts', `${TOKEN}.x`, 'not a JWT'],
    ['no signature', plausibleToken(''), 'not a JWT'],
    ['claims that are not JSON', 'a.b.c', 'not JSON'],
    ['claims that are null', `a.${Buffer.from('null').toString('base64url')}.c`, 'not JSON'],
    ['no audience', plausibleToken('x', { aud: undefined }), 'audience'],
    ['another audience', plausibleToken('x', { aud: ['sts.amazonaws.com'] }), 'audience'],
    ['no end', plausibleToken('x', { exp: undefined }), 'expired'],
    ['an end in words', plausibleToken('x', { exp: '9999999999' }), 'expired'],
    ['an end in the past', plausibleToken('x', { exp: NOW / 1000 - 61 }), 'expired'],
    ['claims of 8 KiB', plausibleToken('x', { more: 'x'.repeat(6000) }), 'not a JWT'],
  ])('is not one with %s', (_what, token, why) => {
    expect(outcome(token)).toContain(why)
  })

  test('law: any text is plausible or refused, never a fault', () => {
    const part = fc.oneof(
      fc.string(),
      fc.json().map((json) => Buffer.from(json).toString('base64url')),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        expect(typeof outcome(parts.join('.'))).toBe('string')
      }),
    )
  })
})
