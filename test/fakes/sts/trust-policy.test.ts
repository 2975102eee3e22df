import { describe, expect, test } from '@jest/globals'
import { assertTrustPolicy, isTrusted, trustPolicy, type TrustStatement } from './trust-policy.ts'

const ACCOUNT = '111122223333'
const PROVIDER = 'issuer.example.com/cluster'
const IDENTITY = {
  provider: PROVIDER,
  subject: 'system:serviceaccount:team-a:app',
  audience: 'sts.amazonaws.com',
}
const ALLOW: TrustStatement = {
  Effect: 'Allow',
  Principal: { Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/${PROVIDER}` },
  Action: 'sts:AssumeRoleWithWebIdentity',
}

function decide(...statements: readonly TrustStatement[]): boolean {
  const policy = { Version: '2012-10-17', Statement: statements } as const
  assertTrustPolicy(policy)
  return isTrusted(policy, ACCOUNT, IDENTITY)
}

describe('trustPolicy', () => {
  const trusted = {
    issuer: `https://${PROVIDER}`,
    subject: IDENTITY.subject,
    audience: IDENTITY.audience,
    accountId: ACCOUNT,
  }

  test('writes the document of the documentation', () => {
    expect(trustPolicy(trusted)).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          ...ALLOW,
          Condition: {
            StringEquals: {
              [`${PROVIDER}:aud`]: 'sts.amazonaws.com',
              [`${PROVIDER}:sub`]: 'system:serviceaccount:team-a:app',
            },
          },
        },
      ],
    })
  })

  test.each([
    ['system:serviceaccount:team-a:*', true],
    ['system:serviceaccount:team-?:app', true],
    ['system:serviceaccount:team-b:*', false],
    ['system.serviceaccount.team-a.*', false],
  ])('with the subject %s: %s', (subject, expected) => {
    expect(isTrusted(trustPolicy({ ...trusted, subject }), ACCOUNT, IDENTITY)).toBe(expected)
  })

  test('trusts the audience and the issuer that it names, only', () => {
    const policy = trustPolicy(trusted)
    expect(isTrusted(policy, ACCOUNT, IDENTITY)).toBe(true)
    expect(isTrusted(policy, ACCOUNT, { ...IDENTITY, audience: 'other' })).toBe(false)
    expect(isTrusted(policy, ACCOUNT, { ...IDENTITY, provider: 'other' })).toBe(false)
    expect(isTrusted(policy, '999999999999', IDENTITY)).toBe(false)
  })
})

describe('isTrusted', () => {
  const subject = (value: string | string[]): Record<string, string | string[]> => ({
    [`${PROVIDER}:SUB`]: value,
  })

  test.each<[string, TrustStatement['Condition'], boolean]>([
    ['no condition', {}, true],
    ['one of several values', { StringEquals: subject(['x', IDENTITY.subject]) }, true],
    ['a wildcard in StringEquals', { StringEquals: subject('system:*') }, false],
    ['StringNotEquals of another', { StringNotEquals: subject('x') }, true],
    ['StringNotEquals of the same', { StringNotEquals: subject(['x', IDENTITY.subject]) }, false],
    ['a key that the token does not have', { StringLike: { 'other:sub': '*' } }, false],
    ['a negated key that the token does not have', { StringNotEquals: { 'other:sub': 'x' } }, true],
    [
      'two operators of which one fails',
      { StringLike: subject('*'), StringEquals: subject('x') },
      false,
    ],
  ])('%s', (_what, Condition, expected) => {
    expect(decide({ ...ALLOW, ...(Condition && { Condition }) })).toBe(expected)
  })

  test('the provider is compared as a whole', () => {
    const Federated = (arn: string): TrustStatement => ({ ...ALLOW, Principal: { Federated: arn } })
    const suffix = `:iam::${ACCOUNT}:oidc-provider/${PROVIDER}`
    expect(decide(Federated(`arn:aws-cn${suffix}`))).toBe(true)
    expect(decide(Federated(`arn:aws:iam::999999999999:oidc-provider/x${suffix}`))).toBe(false)
    expect(decide(Federated(`arn:aws${suffix}/below`))).toBe(false)
  })

  test('A denial wins if its condition holds', () => {
    const condition = { StringNotEquals: subject('other') }
    expect(decide(ALLOW, { ...ALLOW, Effect: 'Deny', Condition: condition })).toBe(false)
    const holdsNot = { StringEquals: subject('other') }
    expect(decide(ALLOW, { ...ALLOW, Effect: 'Deny', Condition: holdsNot })).toBe(true)
    expect(decide({ ...ALLOW, Effect: 'Deny' })).toBe(false)
  })

  test('the action may be one of several or have a wildcard', () => {
    expect(decide({ ...ALLOW, Action: ['sts:TagSession', 'STS:assumerolewith*'] })).toBe(true)
    expect(decide({ ...ALLOW, Action: 'sts:TagSession' })).toBe(false)
  })
})

test.each<[string, Partial<TrustStatement>]>([
  ['an unknown operator', { Condition: { StringEqualsIfExists: { a: 'b' } } }],
  ['a principal that is not a provider', { Principal: { Federated: 'cognito-identity' } }],
])('a policy with %s is refused as a whole', (_what, wrong) => {
  const policy = { Version: '2012-10-17', Statement: { ...ALLOW, ...wrong } } as const
  expect(() => {
    assertTrustPolicy(policy)
  }).toThrow(expect.objectContaining({ code: 'ERR_TRUST_POLICY' }))
})
