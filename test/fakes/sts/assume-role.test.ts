import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  STSClient,
  type AssumeRoleCommandInput,
  type AssumeRoleWithWebIdentityCommandInput,
  type Credentials,
} from '@aws-sdk/client-sts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { realClock, type Clock } from '../../../shared/base/clock.ts'
import { startIssuer, type Issuer } from '../issuer.ts'
import type { Role } from './actions.ts'
import type { PermissionStatement } from './policy.ts'
import { startSts, type Sts } from './server.ts'
import { trustPolicy, type TrustPolicy, type TrustStatement } from './trust-policy.ts'

const SOURCE = 'arn:aws:iam::111122223333:role/team-a/app'
const TARGET = 'arn:aws:iam::444455556666:role/data/reader'
const NEIGHBOUR = 'arn:aws:iam::111122223333:role/neighbour'
const ACTIONS = ['sts:AssumeRole', 'sts:TagSession']
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }],
})

const offset = { ms: 0 }
const clock: Clock = { ...realClock, now: () => realClock.now() + offset.ms }

const trusts = (statement: Partial<TrustStatement> = {}): TrustPolicy => ({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Principal: { AWS: SOURCE }, Action: ACTIONS, ...statement },
})
const may = (statement: Partial<PermissionStatement> = {}): PermissionStatement => ({
  Effect: 'Allow',
  Action: ACTIONS,
  Resource: [TARGET, NEIGHBOUR],
  ...statement,
})

let issuer: Issuer
let sts: Sts
const clients: STSClient[] = []

beforeAll(async () => {
  issuer = await startIssuer({ clock: realClock })
})
afterAll(() => issuer.close())
beforeEach(() => {
  offset.ms = 0
})
afterEach(async () => {
  for (const made of clients.splice(0)) made.destroy()
  await sts.stop()
})

async function startWith(
  permissions: Role['permissions'],
  target: Partial<Role> = {},
  neighbour = trusts(),
): Promise<void> {
  const trust = trustPolicy({
    issuer: issuer.url,
    subject: 'system:serviceaccount:team-a:app',
    audience: 'sts.amazonaws.com',
    accountId: '111122223333',
  })
  sts = await startSts({
    clock,
    issuers: [issuer],
    roles: [
      { arn: SOURCE, trust, ...(permissions === undefined ? {} : { permissions }) },
      { arn: TARGET, trust: trusts(), ...target },
      { arn: NEIGHBOUR, trust: neighbour },
    ],
  })
}

function client(credentials?: Credentials): STSClient {
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = credentials ?? {}
  const made = new STSClient({
    region: 'eu-central-1',
    endpoint: sts.url,
    maxAttempts: 1,
    credentials: {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
    },
  })
  clients.push(made)
  return made
}

async function first(
  more: Partial<AssumeRoleWithWebIdentityCommandInput> = {},
): Promise<Credentials> {
  const token = await issuer.mintToken({
    namespace: 'team-a',
    serviceAccount: 'app',
    pod: 'app-1',
    audience: 'sts.amazonaws.com',
    expiresInSeconds: 600,
  })
  const input = { RoleArn: SOURCE, RoleSessionName: 'team-a.app', WebIdentityToken: token }
  const command = new AssumeRoleWithWebIdentityCommand({ ...input, ...more })
  return (await client().send(command)).Credentials!
}

async function second(
  more: Partial<AssumeRoleCommandInput> = {},
  signer?: Credentials,
): Promise<Credentials> {
  const input = { RoleArn: TARGET, RoleSessionName: 'team-a.app', ...more }
  const sender = client(signer ?? (await first()))
  return (await sender.send(new AssumeRoleCommand(input))).Credentials!
}

async function refusalOf(answer: Promise<unknown>): Promise<{ name: string; message: string }> {
  const error = await answer.then(
    () => new Error('STS granted what it should have refused'),
    (thrown: unknown) => thrown as Error,
  )
  return { name: error.name, message: error.message }
}

const tag = (Key: string, Value = 'x') => ({ Key, Value })

describe('a role in another account', () => {
  test('is assumed if both sides allow it, and the session is that of the target', async () => {
    await startWith([may()])
    const credentials = await second()
    const who = await client(credentials).send(new GetCallerIdentityCommand({}))
    expect(who).toMatchObject({
      Account: '444455556666',
      Arn: 'arn:aws:sts::444455556666:assumed-role/reader/team-a.app',
    })
  })

  const denied = {
    name: 'AccessDenied',
    message: `User: arn:aws:sts::111122223333:assumed-role/app/team-a.app is not authorized to perform: sts:AssumeRole on resource: ${TARGET}`,
  }

  test.each<[string, Role['permissions'], Partial<Role>]>([
    ['the role has no policy', undefined, {}],
    ['its policy is for other roles', [may({ Resource: `${TARGET}-2` })], {}],
    ['its policy denies it', [may(), may({ Effect: 'Deny' })], {}],
    [
      'the target trusts another role',
      [may()],
      { trust: trusts({ Principal: { AWS: NEIGHBOUR } }) },
    ],
    ['the target trusts other actions', [may()], { trust: trusts({ Action: 'sts:TagSession' }) }],
    [
      'the target wants an external ID',
      [may()],
      { trust: trusts({ Condition: { StringEquals: { 'sts:ExternalId': 'abc' } } }) },
    ],
  ])('is not if %s', async (_what, permissions, target) => {
    await startWith(permissions, target)
    expect(await refusalOf(second())).toEqual(denied)
    expect(await refusalOf(second({ ExternalId: 'abd' }))).toEqual(denied)
  })

  test('is with the external ID that it wants, and if it trusts the account', async () => {
    const Condition = { StringEquals: { 'sts:ExternalId': 'abc' } }
    const Principal = { AWS: 'arn:aws:iam::111122223333:root' }
    await startWith([may()], { trust: trusts({ Principal, Condition }) })
    expect(await second({ ExternalId: 'abc' })).toBeDefined()
  })
})

test('in the same account the trust of the target is enough if it names the role', async () => {
  await startWith(undefined)
  expect(await second({ RoleArn: NEIGHBOUR })).toBeDefined()
  sts.setTrust(NEIGHBOUR, trusts({ Principal: { AWS: '111122223333' } }))
  expect(await refusalOf(second({ RoleArn: NEIGHBOUR }))).toMatchObject({ name: 'AccessDenied' })
})

describe('a signature', () => {
  test('is checked', async () => {
    await startWith([may()])
    const signer = await first()
    const forged = { ...signer, SecretAccessKey: 'x'.repeat(40) }
    expect(await refusalOf(second({}, forged))).toMatchObject({ name: 'SignatureDoesNotMatch' })
  })

  test('by credentials that have expired is refused', async () => {
    await startWith([may()])
    const signer = await first()
    offset.ms = 3_601_000
    expect(await refusalOf(second({}, signer))).toMatchObject({ name: 'ExpiredToken' })
  })

  test('by a session with a policy is refused, as nothing here looks into policies', async () => {
    await startWith([may()])
    const signer = await first({ Policy: POLICY })
    expect(await refusalOf(second({}, signer))).toMatchObject({ name: 'AccessDenied' })
  })
})

describe('duration', () => {
  test('an hour at most, whatever the maximum of the role', async () => {
    await startWith([may()], { maxSessionDurationSeconds: 43_200 })
    expect(await second({ DurationSeconds: 3600 })).toBeDefined()
    expect(await refusalOf(second({ DurationSeconds: 3601 }))).toEqual({
      name: 'ValidationError',
      message:
        'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
    })
  })
})

describe('tags', () => {
  test('are in the session, and services are told of them', async () => {
    await startWith([may()])
    await second({ Tags: [tag('Team', 'a'), tag('env', '')], TransitiveTagKeys: ['env'] })
    expect(sts.sessions().at(-1)).toMatchObject({
      roleArn: TARGET,
      tags: new Map([
        ['Team', 'a'],
        ['env', ''],
      ]),
      transitiveTagKeys: ['env'],
    })
  })

  test('need sts:TagSession on both sides', async () => {
    const message = expect.stringContaining('not authorized to perform: sts:TagSession on')
    await startWith([may({ Action: 'sts:AssumeRole' })])
    const Tags = [tag('team')]
    expect(await refusalOf(second({ Tags }))).toEqual({ name: 'AccessDenied', message })
    expect(await second()).toBeDefined()
    await sts.stop()
    await startWith([may()], { trust: trusts({ Action: 'sts:AssumeRole' }) })
    expect(await refusalOf(second({ Tags }))).toEqual({ name: 'AccessDenied', message })
  })

  test('that a trust policy wants', async () => {
    const Condition = { StringEquals: { 'aws:RequestTag/Team': 'a' } }
    await startWith([may()], { trust: trusts({ Condition }) })
    expect(await second({ Tags: [tag('team', 'a')] })).toBeDefined()
    expect(await refusalOf(second({ Tags: [tag('team', 'b')] }))).toMatchObject({
      name: 'AccessDenied',
    })
  })

  test('that are transitive go on to the next session, and cannot be replaced there', async () => {
    const AWS = [SOURCE, NEIGHBOUR]
    await startWith([may()], { trust: trusts({ Principal: { AWS } }) })
    const Tags = [tag('kept', '1'), tag('lost', '2')]
    const signer = await second({ RoleArn: NEIGHBOUR, Tags, TransitiveTagKeys: ['kept'] })
    sts.setTrust(NEIGHBOUR, trusts({ Principal: { AWS } }))
    const next = { RoleArn: NEIGHBOUR }
    const Condition = { StringEquals: { 'aws:PrincipalTag/lost': '2' } }
    sts.setTrust(NEIGHBOUR, trusts({ Principal: { AWS }, Condition }))
    await second(next, signer)
    const { tags, transitiveTagKeys } = sts.sessions().at(-1)!
    expect([...tags]).toEqual([['kept', '1']])
    expect(transitiveTagKeys).toEqual(['kept'])
    expect(await refusalOf(second({ ...next, Tags: [tag('KEPT')] }, signer))).toMatchObject({
      name: 'InvalidParameterValue',
    })
  })

  test.each<[string, Partial<AssumeRoleCommandInput>, string]>([
    ['twice, in another case', { Tags: [tag('team'), tag('Team')] }, 'InvalidParameterValue'],
    [
      'transitive without being there',
      { Tags: [tag('team')], TransitiveTagKeys: ['other'] },
      'InvalidParameterValue',
    ],
    [
      '51 of them',
      { Tags: Array.from({ length: 51 }, (_, index) => tag(`key-${index}`)) },
      'ValidationError',
    ],
    ['without a key', { Tags: [tag('')] }, 'ValidationError'],
    ['with a key of 129 characters', { Tags: [tag('k'.repeat(129))] }, 'ValidationError'],
    ['with a value of 257 characters', { Tags: [tag('k', 'v'.repeat(257))] }, 'ValidationError'],
    ['with a placeholder', { Tags: [tag('k', '{pod}')] }, 'ValidationError'],
  ])('%s', async (_what, input, name) => {
    await startWith([may()])
    expect(await refusalOf(second(input))).toMatchObject({ name })
  })
})

describe('session policies, in both actions', () => {
  const ask = [first, second] as const
  const arns = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ arn: `arn:aws:iam::aws:policy/Policy${index}` }))
  /** Nothing in it repeats, so that it cannot be packed. */
  const large = JSON.stringify({
    Statement: {
      Effect: 'Allow',
      Action: 's3:GetObject',
      Resource: Array.from({ length: 24 }, () => crypto.randomUUID()),
    },
  })

  test.each(ask)('%p: are in the session', async (assume) => {
    await startWith([may()])
    await assume({ Policy: POLICY, PolicyArns: arns(2) })
    expect(sts.sessions().at(-1)).toMatchObject({
      policy: POLICY,
      policyArns: ['arn:aws:iam::aws:policy/Policy0', 'arn:aws:iam::aws:policy/Policy1'],
    })
  })

  test.each([
    ['no JSON', { Policy: '{' }, 'MalformedPolicyDocumentException'],
    ['no statement', { Policy: '{}' }, 'MalformedPolicyDocumentException'],
    [
      'a principal',
      { Policy: POLICY.replace('"Effect"', '"Principal":"*","Effect"') },
      'MalformedPolicyDocumentException',
    ],
    ['2049 characters', { Policy: POLICY.padEnd(2049) }, 'ValidationError'],
    ['11 ARNs', { PolicyArns: arns(11) }, 'ValidationError'],
    ['an ARN of something else', { PolicyArns: [{ arn: TARGET }] }, 'ValidationError'],
    [
      'too much of both',
      {
        Policy: large,
        PolicyArns: Array.from({ length: 10 }, () => ({
          arn: `arn:aws:iam::aws:policy/${crypto.randomUUID()}${crypto.randomUUID()}${crypto.randomUUID()}`,
        })),
      },
      'PackedPolicyTooLargeException',
    ],
  ])('%s', async (_what, input, name) => {
    await startWith([may()])
    for (const assume of ask) {
      expect(await refusalOf(assume(input))).toMatchObject({ name })
    }
  })
})
