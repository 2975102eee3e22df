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

describe('two steps', () => {
  const TARGET = 'arn:aws:iam::444455556666:role/data'
  const TARGETED = { ...CONFIG, targetRoleArn: TARGET }
  const BOTH = `${TARGET}, assumed from arn:aws:iam::111122223333:role/app, for ServiceAccount team-a/app`

  /** STS gives `FIRST` and then `SECOND`; the clock goes on by 5 s with each request. */
  function twoSteps(given: {
    readonly skewMs?: number
    readonly lend?: ExchangeDeps['lend']
    readonly second?: () => Promise<never>
  }) {
    const { skewMs = 0, lend, second } = given
    let nowMs = NOW
    const asked: Parameters<ExchangeDeps['send']>[] = []
    const send: ExchangeDeps['send'] = (...call) => {
      asked.push(call)
      const [, { action, input }] = call
      if (action === 'AssumeRole' && second !== undefined) return second()
      const key = action === 'AssumeRole' ? 'SECOND' : 'FIRST'
      nowMs += 5000
      const Credentials = {
        AccessKeyId: `${key}-KEY`,
        SecretAccessKey: `${key}-secret`,
        SessionToken: `${key}-session`,
        Expiration: new Date(nowMs - 5000 + (input.DurationSeconds ?? 0) * 1000),
      }
      return Promise.resolve({ output: { $metadata: {}, Credentials }, stsNowMs: nowMs })
    }
    const { readToken } = deps({})
    const made = { readToken, send, now: () => nowMs + skewMs, ...(lend && { lend }) }
    return { asked, run: () => exchange(TARGETED, made) }
  }

  test('the session of the first role signs the second request, and that of the target is published', async () => {
    const { asked, run } = twoSteps({})
    expect(await run()).toEqual({
      Version: 1,
      AccessKeyId: 'SECOND-KEY',
      SecretAccessKey: 'SECOND-secret',
      SessionToken: 'SECOND-session',
      Expiration: '2026-11-24T12:55:00Z',
      AccountId: '444455556666',
    })
    expect(asked.map(([, { action }, signer]) => [action, signer?.accessKeyId])).toEqual([
      ['AssumeRoleWithWebIdentity', undefined],
      ['AssumeRole', 'FIRST-KEY'],
    ])
  })

  test.each([-8, 0, 8])(
    'a node`s clock that is %d minutes off: it signs by the clock of STS',
    async (minutes) => {
      const { asked, run } = twoSteps({ skewMs: minutes * MINUTE })
      await run()
      const offsetMs = asked[1]?.[2]?.stsClockOffsetMs
      expect(Math.abs((offsetMs ?? NaN) + minutes * MINUTE)).toBeLessThanOrEqual(5000)
    },
  )

  const refusing = (Code: string, message: string) => () =>
    Promise.reject(Object.assign(new Error(message), { Code, $metadata: { httpStatusCode: 403 } }))

  test('a refusal of the target names both roles', async () => {
    const { run } = twoSteps({ second: refusing('AccessDenied', 'Not authorized') })
    expect(await thrownBy(run)).toMatchObject({
      code: 'AccessDenied',
      failureClass: 'refused',
      message: `STS refused ${BOTH}: Not authorized`,
      hint: expect.stringContaining('sts:AssumeRole'),
    })
  })

  test('a refusal that quotes the signed request shows no key of the first session', async () => {
    const quoted = "should have been 'x-amz-security-token:FIRST-session', secret FIRST-secret"
    const { run } = twoSteps({ second: refusing('SignatureDoesNotMatch', quoted) })
    const error = await thrownBy(run)
    expect(error).toMatchObject({ code: 'SignatureDoesNotMatch' })
    expect(JSON.stringify([error, (error as Error).message])).not.toMatch(
      /FIRST-(?:session|secret)/,
    )
  })

  test('a refusal of the first role names that one alone, and the target is not asked', async () => {
    const refused = { ...deps({}), send: refusing('AccessDenied', 'Not authorized') }
    expect(await thrownBy(() => exchange(TARGETED, refused))).toMatchObject({
      message: `STS refused ${WHO}: Not authorized`,
      hint: expect.stringContaining('sts:AssumeRoleWithWebIdentity'),
    })
  })

  test('a tag that cannot be sent: the target is not asked', async () => {
    const config = { ...TARGETED, sessionTags: [{ key: 'k', value: '{pod}'.repeat(60) }] }
    const made = deps({})
    expect(await thrownBy(() => exchange(config, made))).toMatchObject({ code: 'TagTooLong' })
    expect(made.asked).toBe(1)
  })

  test('a session that somebody lends is used, and none is made', async () => {
    const lent = {
      accessKeyId: 'LENT',
      secretAccessKey: 'lent',
      sessionToken: 'lent',
      expiresAtMs: NOW + MINUTE,
      lifetimeMs: MINUTE,
      stsClockOffsetMs: 0,
    }
    const { asked, run } = twoSteps({ lend: (_make, use) => use(lent) })
    expect(await run()).toMatchObject({ AccessKeyId: 'SECOND-KEY' })
    expect(asked.map(([, , signer]) => signer)).toEqual([lent])
  })
})
