import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AUTHORITY } from '../../contract/certificates.ts'
import { CONFIG, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { exchange, type ExchangeDeps } from './exchange.ts'
import type { Claims } from './token.ts'

const NOW = Date.UTC(2026, 10, 24, 12)
const MINUTE = 60_000
const WHO = 'arn:aws:iam::111122223333:role/app for ServiceAccount team-a/app'

interface Given {
  readonly claims?: Partial<Claims>
  /** The node's clock minus the real time. */
  readonly skewMs?: number
  readonly lifeMs?: number
  readonly hasDate?: boolean
  /** The `Date` minus the real time. */
  readonly dateOffMs?: number
  readonly credentials?: Readonly<Record<string, unknown>> | null
}

/** STS tells the real time, NOW; the node's clock is off by the skew. */
function deps(given: Given): ExchangeDeps & { asked: number } {
  const { claims, skewMs = 0, lifeMs = 60 * MINUTE, hasDate = true, credentials } = given
  const stsNowMs = NOW + (given.dateOffMs ?? 0)
  const good = {
    AccessKeyId: 'KEY-1',
    SecretAccessKey: 'secret',
    SessionToken: 'session',
    Expiration: new Date(NOW + lifeMs),
  }
  const made = {
    asked: 0,
    now: () => NOW + skewMs,
    readToken: () =>
      Promise.resolve({
        jwt: 'jwt',
        claims: {
          issuer: 'https://oidc.example.com',
          subject: 'system:serviceaccount:team-a:app',
          audiences: ['sts.amazonaws.com'],
          issuedAtMs: NOW - MINUTE,
          expiresAtMs: NOW + 10 * MINUTE,
          ...claims,
        },
      }),
    send() {
      made.asked += 1
      return Promise.resolve({
        output: {
          $metadata: {},
          ...(credentials === null ? {} : { Credentials: { ...good, ...credentials } as never }),
        },
        stsNowMs: hasDate ? stsNowMs : undefined,
      })
    },
  }
  return made
}

describe('the document', () => {
  test('expires a margin before the credentials, and names the account of the role', async () => {
    expect(await exchange(CONFIG, deps({}))).toEqual({
      Version: 1,
      AccessKeyId: 'KEY-1',
      SecretAccessKey: 'secret',
      SessionToken: 'session',
      Expiration: '2026-11-24T12:55:00Z',
      AccountId: '111122223333',
    })
    const short = await exchange(CONFIG, deps({ lifeMs: 30 * MINUTE }))
    expect(short.Expiration).toBe('2026-11-24T12:27:00Z')
  })

  test('a node`s clock that is off changes nothing of what is left by that clock', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: -10 * MINUTE, max: 10 * MINUTE }),
        fc.integer({ min: 30 * 60, max: 720 * 60 }).map((seconds) => seconds * 1000),
        async (skewMs, lifeMs) => {
          const config = { ...CONFIG, sessionDurationSeconds: lifeMs / 1000 }
          const document = await exchange(config, deps({ skewMs, lifeMs }))
          const remainingMs = Date.parse(document.Expiration) - (NOW + skewMs)
          const marginMs = Math.min(5 * MINUTE, lifeMs / 10)
          expect(remainingMs).toBeLessThanOrEqual(lifeMs - marginMs)
          expect(remainingMs).toBeGreaterThan(lifeMs - marginMs - 1000)
        },
      ),
    )
  })

  test.each([-600, -30, -10, 10, 30, 600])(
    'a Date that is %d minutes off, as a proxy between may write it, changes nothing',
    async (minutes) => {
      const document = await exchange(CONFIG, deps({ dateOffMs: minutes * MINUTE }))
      expect(document.Expiration).toBe('2026-11-24T12:55:00Z')
    },
  )

  test('a Date from before the token was made does not lengthen a life shorter than asked for', async () => {
    const config = { ...CONFIG, sessionDurationSeconds: 7200 }
    const document = await exchange(config, deps({ dateOffMs: -60 * MINUTE }))
    expect(document.Expiration).toBe('2026-11-24T12:55:00Z')
  })

  test('without a Date only the node`s clock counts', async () => {
    const document = await exchange(CONFIG, deps({ hasDate: false }))
    expect(document.Expiration).toBe('2026-11-24T12:55:00Z')
  })
})

describe('never a credential document', () => {
  test.each([
    ['no credentials', { credentials: null }, 'MalformedResponse'],
    ['no key', { credentials: { AccessKeyId: undefined } }, 'MalformedResponse'],
    ['an empty session token', { credentials: { SessionToken: '' } }, 'MalformedResponse'],
    ['no end', { credentials: { Expiration: undefined } }, 'MalformedResponse'],
    ['nonsense', { credentials: { Expiration: new Date(NaN) } }, 'ExpirationOutOfBounds'],
    ['expired on arrival', { lifeMs: 0 }, 'ExpirationOutOfBounds'],
    ['a life of days', { lifeMs: 3 * 24 * 60 * MINUTE }, 'ExpirationOutOfBounds'],
  ] as const)('%s', async (_what, given, code) => {
    expect(await thrownBy(() => exchange(CONFIG, deps(given)))).toMatchObject({
      code,
      failureClass: 'transient',
      message: expect.stringContaining(WHO),
    })
  })
})

describe('without asking STS', () => {
  test('an expired token', async () => {
    const made = deps({ claims: { expiresAtMs: NOW - 16 * MINUTE } })
    expect(await thrownBy(() => exchange(CONFIG, made))).toMatchObject({
      code: 'TokenExpired',
      failureClass: 'token',
      message: expect.stringContaining(WHO),
    })
    expect(made.asked).toBe(0)
  })

  test('a token for another audience', async () => {
    const made = deps({ claims: { audiences: ['vault'] } })
    expect(await thrownBy(() => exchange(CONFIG, made))).toMatchObject({
      code: 'WrongAudience',
      failureClass: 'refused',
      message: `no exchange of ${WHO}: the token is for vault, not for sts.amazonaws.com`,
    })
    expect(made.asked).toBe(0)
  })

  test('a token for the authority, whatever the audience is said to be', async () => {
    for (const audiences of [[AUTHORITY.audience], ['sts.amazonaws.com', AUTHORITY.audience]]) {
      const made = deps({ claims: { audiences } })
      const config = { ...CONFIG, audience: audiences[0]! }
      expect(await thrownBy(() => exchange(config, made))).toMatchObject({
        code: 'WrongAudience',
        failureClass: 'refused',
      })
      expect(made.asked).toBe(0)
    }
  })

  test('but a clock that is 10 minutes fast does not stop a valid token', async () => {
    const made = deps({ claims: { expiresAtMs: NOW + MINUTE }, skewMs: 10 * MINUTE })
    await exchange(CONFIG, made)
    expect(made.asked).toBe(1)
  })
})

test('a refusal says for which workload, why, and what to check', async () => {
  const refused = Object.assign(new Error('Not authorized'), {
    Code: 'AccessDenied',
    $metadata: { httpStatusCode: 403 },
  })
  const made = { ...deps({}), send: () => Promise.reject(refused) }
  expect(await thrownBy(() => exchange(CONFIG, made))).toMatchObject({
    code: 'AccessDenied',
    failureClass: 'refused',
    message: `STS refused ${WHO}: Not authorized`,
    hint: expect.stringContaining('oidc.example.com:sub = system:serviceaccount:team-a:app'),
  })
})
