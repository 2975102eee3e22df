import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ExchangeConfig } from '../../../contract/exchanger-env.ts'
import { RESERVED_TAG_KEYS, sessionTags } from '../../../contract/session-tags.ts'
import { CONFIG, thrownBy } from '../../../test/fakes/exchanger-samples.ts'
import { GATE_MS } from '../../sidecar/schedule.ts'
import { TIMEOUTS_MS } from '../sts.ts'
import { stepsOf } from './steps.ts'
import { sessionTagsOf } from './tags.ts'

const TARGET = 'arn:aws:iam::444455556666:role/data/reader'
const POLICY = '{"Version":"2012-10-17","Statement":[]}'
const ARN = 'arn:aws:iam::aws:policy/ReadOnlyAccess'
const CLAIMS = {
  issuer: 'https://oidc.example.com',
  subject: 'system:serviceaccount:team-a:app',
  audiences: ['sts.amazonaws.com'],
  issuedAtMs: undefined,
  expiresAtMs: undefined,
}
const INPUT = { token: { jwt: 'the-token', claims: CLAIMS }, previous: undefined }
const DEFAULT_TAGS = {
  podUid: '0d9bb6f2-8f3f-4b6a-8d53-1d3c2f5b9a11',
  clusterArn: 'arn:aws:eks:eu-central-1:111122223333:cluster/prod',
  clusterName: undefined,
}
const ALONE: ExchangeConfig = { ...CONFIG, sessionName: '{namespace}-{pod}' }
const TARGETED: ExchangeConfig = { ...ALONE, targetRoleArn: TARGET }

const requestsOf = (config: ExchangeConfig): unknown[] => {
  const { before, last } = stepsOf(config)
  return [...before, last].map((step) => step.request(INPUT))
}

describe('requests', () => {
  test('one role: one request, which the session policies are in', () => {
    expect(requestsOf({ ...ALONE, sessionPolicy: POLICY, sessionPolicyArns: [ARN] })).toEqual([
      {
        action: 'AssumeRoleWithWebIdentity',
        input: {
          RoleArn: CONFIG.roleArn,
          RoleSessionName: 'team-a-app-1',
          WebIdentityToken: 'the-token',
          DurationSeconds: 3600,
          Policy: POLICY,
          PolicyArns: [{ arn: ARN }],
        },
      },
    ])
  })

  test('a target: the first session is short and is not narrowed, the second is what is asked for', () => {
    const config: ExchangeConfig = {
      ...TARGETED,
      sessionDurationSeconds: 1800,
      externalId: 'nocreds-team-a',
      sessionTags: [{ key: 'team', value: 'a-{pod}' }],
      sessionPolicy: POLICY,
      sessionPolicyArns: [ARN],
      defaultTags: DEFAULT_TAGS,
    }
    expect(requestsOf(config)).toEqual([
      {
        action: 'AssumeRoleWithWebIdentity',
        input: {
          RoleArn: CONFIG.roleArn,
          RoleSessionName: 'team-a-app-1',
          WebIdentityToken: 'the-token',
          DurationSeconds: 900,
        },
      },
      {
        action: 'AssumeRole',
        input: {
          RoleArn: TARGET,
          RoleSessionName: 'team-a-app-1',
          DurationSeconds: 1800,
          ExternalId: 'nocreds-team-a',
          Tags: [
            { Key: 'team', Value: 'a-app-1' },
            { Key: 'eks-cluster-arn', Value: DEFAULT_TAGS.clusterArn },
            { Key: 'kubernetes-namespace', Value: 'team-a' },
            { Key: 'kubernetes-service-account', Value: 'app' },
            { Key: 'kubernetes-pod-name', Value: 'app-1' },
            { Key: 'kubernetes-pod-uid', Value: DEFAULT_TAGS.podUid },
          ],
          TransitiveTagKeys: [
            'eks-cluster-arn',
            'kubernetes-namespace',
            'kubernetes-service-account',
            'kubernetes-pod-name',
            'kubernetes-pod-uid',
          ],
          Policy: POLICY,
          PolicyArns: [{ arn: ARN }],
        },
      },
    ])
  })

  test('nothing is in the second request that nobody asked for, and never more than an hour', () => {
    const [, second] = requestsOf({ ...TARGETED, sessionDurationSeconds: 43_200 })
    expect(second).toEqual({
      action: 'AssumeRole',
      input: { RoleArn: TARGET, RoleSessionName: 'team-a-app-1', DurationSeconds: 3600 },
    })
  })

  test('all of them have time to fail before the sidecar kills their process', () => {
    const count = requestsOf(TARGETED).length
    expect(count * TIMEOUTS_MS.request).toBeLessThanOrEqual(GATE_MS - 8000)
  })
})

describe('tags', () => {
  test('whatever annotations say, the keys of nocreds have the values of nocreds', () => {
    const key = fc.oneof(
      fc.constantFrom(...RESERVED_TAG_KEYS, 'team', 'Team').chain(anyCase),
      fc.string({ minLength: 1, maxLength: 8 }),
    )
    const text = fc
      .array(fc.tuple(key, fc.constantFrom('x', '{pod}', '')), { minLength: 1, maxLength: 4 })
      .map((tags) => tags.map(([name, value]) => `${name}=${value}`).join(','))
    fc.assert(
      fc.property(text, (annotation) => {
        const parsed = sessionTags.parse(annotation)
        fc.pre(parsed !== undefined)
        const sent = { ...TARGETED, sessionTags: parsed, defaultTags: DEFAULT_TAGS }
        const [, second] = requestsOf(sent) as {
          input: { Tags: { Key: string; Value: string }[] }
        }[]
        const pairs = second!.input.Tags.map(
          ({ Key, Value }) => [Key.toLowerCase(), Value] as const,
        )
        const byKey = new Map(pairs)
        expect(byKey.size).toBe(pairs.length)
        expect(byKey.get('kubernetes-namespace')).toBe('team-a')
        expect(byKey.get('kubernetes-pod-name')).toBe('app-1')
      }),
    )
  })

  test('reserved keys are refused in any case', () => {
    fc.assert(
      fc.property(fc.constantFrom(...RESERVED_TAG_KEYS).chain(anyCase), (key) => {
        expect(sessionTags.parse(`team=a,${key}=x`)).toBeUndefined()
      }),
    )
  })

  test('a value that is too long with the name of the pod in it', async () => {
    const config = {
      ...TARGETED,
      pod: `${'p'.repeat(62)}.${'p'.repeat(62)}`,
      sessionTags: [{ key: 'long', value: '{pod}{pod}{pod}' }],
    }
    const error = await thrownBy(() => requestsOf(config))
    expect(error).toMatchObject({
      code: 'TagTooLong',
      failureClass: 'refused',
      message: `no exchange of ${TARGET}, assumed from ${CONFIG.roleArn}, for ServiceAccount team-a/app: with the name of the pod the value of session tag long has 375 characters; allowed: at most 256`,
      hint: expect.stringContaining('nocreds.dev/session-tags'),
    })
    const fits = { ...config, sessionTags: [{ key: 'long', value: '{pod}{pod}' }] }
    expect(sessionTagsOf(fits, '')).toEqual([{ key: 'long', value: config.pod.repeat(2) }])
  })
})

/** The text with some of its letters in upper case. */
function anyCase(text: string): fc.Arbitrary<string> {
  return fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map((upper) => text.replace(/./g, (one, at: number) => (upper[at] ? one.toUpperCase() : one)))
}

describe('what a refusal of the second request means', () => {
  const { last } = stepsOf(TARGETED)

  test.each([
    // New credentials are made for each exchange: the token is not at fault, and a retry may help.
    ['ExpiredToken', 403, 'transient'],
    ['ExpiredTokenException', 400, 'transient'],
    ['InvalidClientTokenId', 403, 'transient'],
    ['Throttling', 400, 'transient'],
    ['InternalFailure', 500, 'transient'],
    ['AccessDenied', 403, 'refused'],
    ['MalformedPolicyDocument', 400, 'refused'],
    ['PackedPolicyTooLarge', 400, 'refused'],
    ['SignatureDoesNotMatch', 403, 'refused'],
    ['ValidationError', 400, 'refused'],
    ['InvalidIdentityToken', 400, 'refused'],
  ] as const)('%s with %d is %s', (code, httpStatus, expected) => {
    expect(last.classOf(code, httpStatus, '')).toBe(expected)
  })

  const hintOf = (code: string, more: Partial<ExchangeConfig> = {}): string | undefined =>
    stepsOf({ ...TARGETED, ...more }).last.hintFor(code, CLAIMS)

  test('AccessDenied: what both roles must say', () => {
    expect(hintOf('AccessDenied')).toBe(
      `A policy of ${CONFIG.roleArn} must allow sts:AssumeRole on ${TARGET}, and the trust policy of the latter must allow it to ${CONFIG.roleArn}; if it requires sts:ExternalId, set nocreds.dev/external-id.`,
    )
    expect(hintOf('AccessDenied', { externalId: 'abc' })).toContain('with sts:ExternalId = abc')
    for (const tags of [{ sessionTags: [{ key: 'a', value: 'b' }] }, { defaultTags: DEFAULT_TAGS }])
      expect(hintOf('AccessDenied', tags)).toContain('Both need sts:TagSession')
  })

  test('the policy, if one was sent', () => {
    expect(hintOf('MalformedPolicyDocument', { sessionPolicy: '{}' })).toContain('session-policy')
    expect(hintOf('MalformedPolicyDocument')).toBeUndefined()
    expect(hintOf('PackedPolicyTooLarge')).not.toContain('session-tags')
    expect(hintOf('PackedPolicyTooLarge', { defaultTags: DEFAULT_TAGS })).toContain('session-tags')
  })

  test.each(['ValidationError', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidParameterValue'])(
    '%s has a hint, and an unknown code has none',
    (code) => {
      expect(hintOf(code)).toBeDefined()
      expect(hintOf('constructor')).toBeUndefined()
    },
  )
})

describe('what a refusal of the first request means', () => {
  const hintOf = (code: string, config: ExchangeConfig): string | undefined => {
    const { before, last } = stepsOf(config)
    return (before[0] ?? last).hintFor(code, CLAIMS)
  }

  test('hints on duration and policies are of the last role alone', () => {
    for (const code of ['ValidationError', 'PackedPolicyTooLarge']) {
      expect(hintOf(code, ALONE)).toBeDefined()
      expect(hintOf(code, TARGETED)).toBeUndefined()
    }
  })

  test('MalformedPolicyDocument is about the session policy if one was sent', () => {
    const narrowed = { sessionPolicy: POLICY }
    const code = 'MalformedPolicyDocument'
    expect(hintOf(code, { ...ALONE, ...narrowed })).toContain('nocreds.dev/session-policy')
    expect(hintOf(code, { ...TARGETED, ...narrowed })).toContain('trust policy')
    expect(hintOf(code, ALONE)).toContain('trust policy')
  })
})
