import {
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  STSClient,
  type Credentials,
} from '@aws-sdk/client-sts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { realClock, type Clock } from '../../../shared/base/clock.ts'
import { startIssuer, type Issuer, type TokenRequest } from '../issuer.ts'
import { startSts, type Sts } from './server.ts'
import { trustPolicy, type TrustPolicy, type TrustStatement } from './trust-policy.ts'

const ACCOUNT = '111122223333'
const ROLE = `arn:aws:iam::${ACCOUNT}:role/team-a/app`
const LONG_ROLE = `arn:aws:iam::${ACCOUNT}:role/long`
const SUBJECT = 'system:serviceaccount:team-a:app'
const AUDIENCE = 'sts.amazonaws.com'

/** The machine's time, moved by a test. */
const offset = { ms: 0 }
const clock: Clock = { ...realClock, now: () => realClock.now() + offset.ms }

let issuer: Issuer
let sts: Sts
let trusted: TrustPolicy

const clients: STSClient[] = []

function client(credentials?: Credentials): STSClient {
  const made = new STSClient({
    region: 'eu-central-1',
    endpoint: sts.url,
    maxAttempts: 1,
    credentials: {
      accessKeyId: credentials?.AccessKeyId ?? '',
      secretAccessKey: credentials?.SecretAccessKey ?? '',
      ...(credentials?.SessionToken === undefined
        ? {}
        : { sessionToken: credentials.SessionToken }),
    },
  })
  clients.push(made)
  return made
}

function mint(request: Partial<TokenRequest> = {}): Promise<string> {
  return issuer.mintToken({
    namespace: 'team-a',
    serviceAccount: 'app',
    pod: 'app-1',
    audience: AUDIENCE,
    expiresInSeconds: 600,
    ...request,
  })
}

interface Assume {
  readonly token?: string
  readonly role?: string
  readonly sessionName?: string
  readonly durationSeconds?: number
}

async function assume({ token, role, sessionName, durationSeconds }: Assume = {}) {
  return client().send(
    new AssumeRoleWithWebIdentityCommand({
      RoleArn: role ?? ROLE,
      RoleSessionName: sessionName ?? 'team-a.app',
      WebIdentityToken: token ?? (await mint()),
      DurationSeconds: durationSeconds,
    }),
  )
}

async function credentialsOf(request?: Assume): Promise<Credentials> {
  const { Credentials: credentials } = await assume(request)
  return credentials!
}

/** What the SDK throws: the code as its name, and the HTTP status. */
async function refusalOf(answer: Promise<unknown>): Promise<{ name: string; status: number }> {
  try {
    await answer
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata: { httpStatusCode: number } }
    return { name, status: $metadata.httpStatusCode }
  }
  throw new Error('STS granted what it should have refused')
}

function trustWith(statement: Partial<TrustStatement>, more: readonly TrustStatement[] = []): void {
  const [first] = [trusted.Statement].flat()
  sts.setTrust(ROLE, { ...trusted, Statement: [{ ...first!, ...statement }, ...more] })
}

beforeAll(async () => {
  issuer = await startIssuer({ clock })
  trusted = trustPolicy({
    issuer: issuer.url,
    subject: SUBJECT,
    audience: AUDIENCE,
    accountId: ACCOUNT,
  })
})
beforeEach(async () => {
  offset.ms = 0
  sts = await startSts({
    clock,
    issuers: [issuer],
    roles: [
      { arn: ROLE, trust: trusted },
      { arn: LONG_ROLE, trust: trusted, maxSessionDurationSeconds: 7200 },
    ],
  })
})
afterEach(async () => {
  for (const made of clients.splice(0)) made.destroy()
  await sts.stop()
})
afterAll(() => issuer.close())

describe('AssumeRoleWithWebIdentity', () => {
  test('a trusted ServiceAccount gets credentials with the requested lifetime', async () => {
    const beforeMs = Math.floor(realClock.now() / 1000) * 1000
    const answer = await assume({ durationSeconds: 1800 })
    expect(answer).toMatchObject({
      SubjectFromWebIdentityToken: SUBJECT,
      Audience: AUDIENCE,
      Provider: `arn:aws:iam::${ACCOUNT}:oidc-provider/${issuer.url.slice('https://'.length)}`,
      AssumedRoleUser: {
        Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/team-a.app`,
        AssumedRoleId: expect.stringMatching(/^AROA[A-Z2-7]{17}:team-a\.app$/),
      },
      Credentials: { AccessKeyId: expect.stringMatching(/^ASIA[A-Z2-7]{16}$/) },
    })
    expect(answer.Credentials?.SecretAccessKey).toHaveLength(40)
    const lifetimeMs = answer.Credentials!.Expiration!.getTime() - beforeMs
    expect(lifetimeMs).toBeGreaterThanOrEqual(1_800_000)
    expect(lifetimeMs).toBeLessThanOrEqual(realClock.now() - beforeMs + 1_800_000)
  })

  test('a lifetime is an hour unless said otherwise, and up to the maximum of the role', async () => {
    await assume()
    await assume({ role: LONG_ROLE, durationSeconds: 7200 })
    expect(sts.calls).toEqual([
      {
        action: 'AssumeRoleWithWebIdentity',
        roleArn: ROLE,
        sessionName: 'team-a.app',
        durationSeconds: undefined,
        outcome: 'success',
      },
      expect.objectContaining({ roleArn: LONG_ROLE, durationSeconds: 7200, outcome: 'success' }),
    ])
  })

  test('tokens of the old key and of the new one are both accepted', async () => {
    const old = await mint()
    await issuer.rotateKey()
    await expect(assume({ token: old })).resolves.toBeDefined()
    await expect(assume()).resolves.toBeDefined()
  })

  test('a shortened lifetime is the only difference to STS', async () => {
    await sts.stop()
    sts = await startSts({
      clock,
      issuers: [issuer],
      roles: [{ arn: ROLE, trust: trusted }],
      lifetimeSeconds: 20,
    })
    const { Expiration } = await credentialsOf()
    expect(Expiration!.getTime()).toBeLessThanOrEqual(realClock.now() + 20_000)
    expect(await refusalOf(assume({ durationSeconds: 20 }))).toEqual({
      name: 'ValidationError',
      status: 400,
    })
  })
})

describe('AssumeRoleWithWebIdentity refuses', () => {
  const denied = { name: 'AccessDenied', status: 403 }
  const invalidToken = { name: 'InvalidIdentityTokenException', status: 400 }
  const validation = { name: 'ValidationError', status: 400 }

  test('an unknown role, another ServiceAccount, another namespace', async () => {
    const role = `arn:aws:iam::${ACCOUNT}:role/nobody`
    expect(await refusalOf(assume({ role }))).toEqual(denied)
    const other = await mint({ serviceAccount: 'other' })
    expect(await refusalOf(assume({ token: other }))).toEqual(denied)
    const elsewhere = await mint({ namespace: 'team-b' })
    expect(await refusalOf(assume({ token: elsewhere }))).toEqual(denied)
  })

  test('what the trust policy no longer allows', async () => {
    await assume()
    trustWith({ Condition: {} })
    await assume()
    const provider = issuer.url.slice('https://'.length)
    trustWith({ Condition: { StringEquals: { [`${provider}:sub`]: `${SUBJECT}x` } } })
    expect(await refusalOf(assume())).toEqual(denied)
    trustWith({ Principal: { Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/elsewhere` } })
    expect(await refusalOf(assume())).toEqual(denied)
    trustWith({ Principal: { Federated: `arn:aws:iam::999999999999:oidc-provider/${provider}` } })
    expect(await refusalOf(assume())).toEqual(denied)
    trustWith({ Action: 'sts:AssumeRole' })
    expect(await refusalOf(assume())).toEqual(denied)
  })

  test('a token that expired', async () => {
    const token = await mint({ expiresInSeconds: 600 })
    offset.ms = 601_000
    expect(await refusalOf(assume({ token }))).toEqual({
      name: 'ExpiredTokenException',
      status: 400,
    })
  })

  test.each<[string, Partial<TokenRequest>]>([
    ['an audience that the provider is not registered with', { audience: 'https://kubernetes' }],
    ['two audiences', { overrides: { aud: [AUDIENCE, 'other'] } }],
    ['an unknown issuer', { overrides: { iss: 'https://127.0.0.1:1' } }],
    ['no subject', { overrides: { sub: undefined } }],
    ['no end', { overrides: { exp: undefined } }],
    ['a start in the future', { overrides: { nbf: 4_102_444_800 } }],
  ])('a token with %s', async (_what, request) => {
    expect(await refusalOf(assume({ token: await mint(request) }))).toEqual(invalidToken)
  })

  test('a token that is malformed, changed, or signed by another cluster', async () => {
    expect(await refusalOf(assume({ token: 'none at all' }))).toEqual(invalidToken)
    const [header, , signature] = (await mint()).split('.')
    const [, payload] = (await mint({ serviceAccount: 'other' })).split('.')
    const changed = [header, payload, signature].join('.')
    expect(await refusalOf(assume({ token: changed }))).toEqual(invalidToken)
    const forger = await startIssuer({ clock })
    const forged = await forger.mintToken({
      namespace: 'team-a',
      serviceAccount: 'app',
      pod: 'app-1',
      audience: AUDIENCE,
      expiresInSeconds: 600,
      overrides: { iss: issuer.url },
    })
    await forger.close()
    expect(await refusalOf(assume({ token: forged }))).toEqual(invalidToken)
  })

  test('while the issuer cannot be reached', async () => {
    const gone = await startIssuer({ clock })
    const request = { namespace: 'team-a', serviceAccount: 'app', pod: 'app-1' }
    const token = await gone.mintToken({ ...request, audience: AUDIENCE, expiresInSeconds: 600 })
    await gone.close()
    await sts.stop()
    sts = await startSts({ clock, issuers: [gone], roles: [{ arn: ROLE, trust: trusted }] })
    expect(await refusalOf(assume({ token }))).toEqual({
      name: 'IDPCommunicationErrorException',
      status: 400,
    })
  })

  test.each<[string, Assume]>([
    ['a role ARN that is too short', { role: 'arn:aws:iam::1:r/x' }],
    ['a malformed role ARN', { role: 'arn:aws:iam::1111222233334444:role/x' }],
    ['a session name of one character', { sessionName: 'a' }],
    ['a session name of 65 characters', { sessionName: 'a'.repeat(65) }],
    ['a session name with a blank', { sessionName: 'team a' }],
    ['a token of 3 characters', { token: 'abc' }],
    ['a token of 20,001 characters', { token: 'a'.repeat(20_001) }],
    ['a lifetime below 900 s', { durationSeconds: 899 }],
    ['a lifetime above 12 h', { role: LONG_ROLE, durationSeconds: 43_201 }],
    ['a lifetime above the maximum of the role', { durationSeconds: 3601 }],
  ])('%s', async (_what, request) => {
    expect(await refusalOf(assume(request))).toEqual(validation)
  })
})

describe('GetCallerIdentity', () => {
  const whoAmI = (credentials: Credentials) =>
    client(credentials).send(new GetCallerIdentityCommand({}))

  test('returns the identity of the credentials', async () => {
    expect(await whoAmI(await credentialsOf())).toMatchObject({
      Account: ACCOUNT,
      Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/team-a.app`,
      UserId: expect.stringMatching(/^AROA[A-Z2-7]{17}:team-a\.app$/),
    })
  })

  test('refuses expired credentials', async () => {
    const credentials = await credentialsOf()
    offset.ms = 3_601_000
    expect(await refusalOf(whoAmI(credentials))).toEqual({ name: 'ExpiredToken', status: 403 })
  })

  test('refuses another secret, another session token, an unknown key', async () => {
    const credentials = await credentialsOf()
    const other = await credentialsOf()
    expect(
      await refusalOf(whoAmI({ ...credentials, SecretAccessKey: other.SecretAccessKey })),
    ).toEqual({ name: 'SignatureDoesNotMatch', status: 403 })
    expect(await refusalOf(whoAmI({ ...credentials, SessionToken: other.SessionToken }))).toEqual({
      name: 'InvalidClientTokenId',
      status: 403,
    })
    expect(
      await refusalOf(whoAmI({ ...credentials, AccessKeyId: 'ASIAUNKNOWNUNKNOWNUN' })),
    ).toEqual({ name: 'InvalidClientTokenId', status: 403 })
  })

  test('refuses a request that was changed after it was signed', async () => {
    const sender = client(await credentialsOf())
    sender.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string }
        request.body = request.body.split('&').reverse().join('&')
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low' },
    )
    expect(await refusalOf(sender.send(new GetCallerIdentityCommand({})))).toEqual({
      name: 'SignatureDoesNotMatch',
      status: 403,
    })
  })

  test('refuses a signature that is ten minutes old', async () => {
    const credentials = await credentialsOf()
    offset.ms = 600_000
    expect(await refusalOf(whoAmI(credentials))).toEqual({
      name: 'SignatureDoesNotMatch',
      status: 403,
    })
  })
})
