import { describe, expect, test } from '@jest/globals'
import { CONFIG } from '../../test/fakes/exchanger-samples.ts'
import { redact } from '../redact.ts'
import { faultOf } from './faults.ts'
import { defaultProvider } from './no-credentials.ts'
import { routeHintFor } from './route-hints.ts'
import { webIdentityStep } from './steps/web-identity.ts'
import type { Claims } from './token.ts'

const STEP = webIdentityStep(CONFIG)

describe('classes', () => {
  test.each([
    ['ExpiredTokenException', 400, 'token'],
    ['IDPCommunicationError', 400, 'transient'],
    ['Throttling', 400, 'transient'],
    ['ThrottlingException', 400, 'transient'],
    ['RequestLimitExceeded', 400, 'transient'],
    ['TooManyRequests', 429, 'transient'],
    ['InternalFailure', 500, 'transient'],
    ['ServiceUnavailable', 503, 'transient'],
    ['Whatever', 502, 'transient'],
    ['AccessDenied', 403, 'refused'],
    ['IDPRejectedClaim', 403, 'refused'],
    ['RegionDisabledException', 403, 'refused'],
    ['ValidationError', 400, 'refused'],
    ['MalformedPolicyDocument', 400, 'refused'],
    ['PackedPolicyTooLarge', 400, 'refused'],
    ['SomethingNew', 400, 'refused'],
  ] as const)('%s with %d is %s', (code, httpStatus, expected) => {
    expect(STEP.classOf(code, httpStatus, '')).toBe(expected)
  })

  test.each([
    [
      "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
      'transient',
    ],
    ['Provided Token is not a Login With Amazon token', 'transient'],
    ['', 'transient'],
    [
      'No OpenIDConnect provider found in your account for https://oidc.example.com/id/1',
      'refused',
    ],
    ['Incorrect token audience', 'refused'],
    ['The ID Token provided is not a valid JWT. (You may see this error if …)', 'refused'],
    ['Missing a required claim: sub', 'refused'],
  ] as const)('InvalidIdentityToken, %s: %s', (text, expected) => {
    expect(STEP.classOf('InvalidIdentityToken', 400, text)).toBe(expected)
  })

  test('an error without a code is not a network error', () => {
    expect(faultOf(new Error('undefined is not a function'), STEP, [])).toMatchObject({
      code: 'InternalError',
      failureClass: 'transient',
      bySts: false,
    })
  })

  test('an SDK that wants to sign', async () => {
    const thrown = await defaultProvider()().catch((error: unknown) => error)
    expect(faultOf(thrown, STEP, [])).toMatchObject({
      code: 'SigningAsked',
      failureClass: 'refused',
    })
  })

  test('no answer is transient, by the code of Node', () => {
    const down = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    expect(faultOf(down, STEP, [])).toMatchObject({
      code: 'ECONNREFUSED',
      failureClass: 'transient',
    })
    const late = Object.assign(new Error('too late'), { name: 'TimeoutError' })
    expect(faultOf(late, STEP, [])).toMatchObject({ code: 'Timeout', failureClass: 'transient' })
  })

  test('a response that is not one of STS is transient, whatever its status, and not shown', () => {
    for (const httpStatusCode of [200, 403, 502]) {
      const thrown = Object.assign(new Error('cannot parse <SecretAccessKey>s3cret'), {
        $metadata: { httpStatusCode },
      })
      const fault = faultOf(thrown, STEP, [])
      expect(fault).toMatchObject({ code: 'MalformedResponse', failureClass: 'transient' })
      expect(fault.text).not.toContain('s3cret')
    }
  })
})

describe('what of a text of STS is shown', () => {
  test('nothing that looks like a token, one line, 500 characters', () => {
    const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwcyJ9.c2lnbmF0dXJl'
    expect(redact(`bad ${jwt} in\n  request`)).toBe('bad [token] in request')
    expect(redact(`id_token=${jwt}`)).toBe('id_token=[token]')
    expect(redact('x'.repeat(1000))).toHaveLength(500)
  })

  test('no key that was sent, even if it is quoted', () => {
    const text =
      'The Canonical String should have been x-amz-security-token:a+b/c== and more a+b/c=='
    expect(redact(text, ['a+b/c=='])).not.toContain('a+b/c')
  })

  test('host names stay, because they must be checked', () => {
    const text =
      'No OpenIDConnect provider found in your account for https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF'
    expect(redact(text)).toBe(text)
  })
})

describe('hints', () => {
  const claims = {
    issuer: 'https://oidc.example.com/id/1',
    subject: 'system:serviceaccount:team-a:app',
    audiences: ['sts.amazonaws.com'],
    issuedAtMs: undefined,
    expiresAtMs: undefined,
  }

  const hintFor = (code: string, config: typeof CONFIG, of: Claims): string | undefined =>
    webIdentityStep(config).hintFor(code, of) ?? routeHintFor(code, config)

  test('AccessDenied: what the trust policy must say, by the token`s own claims', () => {
    expect(hintFor('AccessDenied', CONFIG, claims)).toBe(
      'Does the role exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity to ' +
        'arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1 with ' +
        'oidc.example.com/id/1:sub = system:serviceaccount:team-a:app and ' +
        'oidc.example.com/id/1:aud = sts.amazonaws.com?',
    )
  })

  test.each([
    ['InvalidIdentityToken', 'oidc-provider/oidc.example.com/id/1'],
    ['IDPRejectedClaim', 'audience sts.amazonaws.com'],
    ['IDPCommunicationError', 'https://oidc.example.com/id/1/.well-known/openid-configuration'],
    ['RegionDisabledException', 'eu-central-1'],
    ['ValidationError', 'session-duration is 3600 s'],
  ])('%s', (code, part) => {
    expect(hintFor(code, CONFIG, claims)).toContain(part)
  })

  const PROXY = 'http://proxy.example.com:3128'

  test.each([
    'ProxyUnreachable',
    'ProxyTimeout',
    'ProxyAuthenticationRequired',
    'ProxyRefused',
    'ProxyFailed',
  ])('%s names the proxy', (code) => {
    expect(hintFor(code, { ...CONFIG, stsProxy: PROXY }, claims)).toContain(
      `The proxy ${PROXY} (stsProxy of ConfigMap nocreds-settings)`,
    )
  })

  test('an unknown CA: the hint says where to add it, and whether others are trusted', () => {
    expect(hintFor('SELF_SIGNED_CERT_IN_CHAIN', CONFIG, claims)).toContain('add its CA to stsCa')
    expect(
      hintFor('UNABLE_TO_VERIFY_LEAF_SIGNATURE', { ...CONFIG, stsCa: 'PEM' }, claims),
    ).toContain('only those are trusted')
  })

  test('an unknown code has no hint', () => {
    expect(hintFor('constructor', CONFIG, claims)).toBeUndefined()
  })

  test('the provider is in the partition of the role', () => {
    const china = { ...CONFIG, roleArn: 'arn:aws-cn:iam::111122223333:role/app' }
    expect(hintFor('AccessDenied', china, claims)).toContain('arn:aws-cn:iam::111122223333:oidc')
  })
})
