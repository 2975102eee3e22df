/** A second role in another account, its external ID, tags and policies, as STS sees them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mayAssume, targetTrust } from '../../test/fakes/sts/target-role.ts'
import { trustPolicy } from '../../test/fakes/sts/trust-policy.ts'
import { ACCOUNT, AUDIENCE, ISSUER } from '../cluster/aws.ts'
import {
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { startEmbeddedSts, type EmbeddedSts } from './embedded-sts.ts'

const OTHER_ACCOUNT = '444455556666'
const EXTERNAL_ID = 'nocreds/e2e:1'
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
})
const READ_ONLY = 'arn:aws:iam::aws:policy/ReadOnlyAccess'

let suite: Suite
let team: Team
let target: string
let sts: EmbeddedSts

beforeAll(async () => {
  suite = await openSuite('target')
  team = await createTeam(suite, 'team')
  target = `arn:aws:iam::${OTHER_ACCOUNT}:role/${team.namespace}-data`
  const subject = `system:serviceaccount:${team.namespace}:app`
  const trust = trustPolicy({
    issuer: `https://${ISSUER}`,
    subject,
    audience: AUDIENCE,
    accountId: ACCOUNT,
  })
  sts = await startEmbeddedSts(suite, [
    { arn: team.role, trust, permissions: [mayAssume(target)] },
    { arn: target, trust: targetTrust(team.role, EXTERNAL_ID) },
  ])
  await annotate('namespace', team.namespace, {
    'permitted-session-tags': `team=data|pod=[{]pod[}]|from=${team.namespace}`,
  })
}, 180_000)

afterAll(async () => {
  await sts.remove()
  await closeSuite(suite)
})

async function annotate(
  kind: string,
  name: string,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  const pairs = Object.entries(annotations).map(([key, value]) => `nocreds.dev/${key}=${value}`)
  await suite.kubectl(['annotate', kind, name, '--overwrite', ...pairs])
}

/** A pod whose annotations are these, under the prefix. */
async function apply(name: string, annotated: Readonly<Record<string, string>>): Promise<void> {
  const annotations = Object.fromEntries(
    Object.entries({ 'target-role-arn': target, ...annotated }).map(([key, value]) => [
      `nocreds.dev/${key}`,
      value,
    ]),
  )
  // Its own calls, too, go to the embedded STS, which knows the keys that it gave.
  const spec = { ...podSpec(whoAmIThenStay()), hostAliases: sts.hostAliases }
  const metadata = { name, namespace: team.namespace, annotations }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

test('the app is the target role in the other account, and STS sees tags and policies', async () => {
  await apply('both', {
    'external-id': EXTERNAL_ID,
    'session-tags': 'team=data, pod={pod}, from={namespace}',
    'session-policy': POLICY,
    'session-policy-arns': READ_ONLY,
  })
  const arn = `arn:aws:sts::${OTHER_ACCOUNT}:assumed-role/${team.namespace}-data/${team.namespace}.app`
  expect(await identityOf(suite, team, 'both')).toEqual({ account: OTHER_ACCOUNT, arn })
  const { metadata } = await suite.kubectl.get<{ readonly metadata: { readonly uid: string } }>([
    ...['pod', 'both', '--namespace', team.namespace],
  ])
  const seen = (await sts.sessions()).findLast((session) => session.arn === arn)
  expect(seen).toMatchObject({
    tags: {
      team: 'data',
      pod: 'both',
      from: team.namespace,
      'kubernetes-namespace': team.namespace,
      'kubernetes-service-account': 'app',
      'kubernetes-pod-name': 'both',
      'kubernetes-pod-uid': metadata.uid,
    },
    policy: POLICY,
    policyArns: [READ_ONLY],
  })
  expect(seen?.transitiveTagKeys).toEqual(expect.arrayContaining(['kubernetes-pod-uid']))
}, 180_000)

test('without the external ID the target role is refused, and the pod says so', async () => {
  await apply('without', {})
  const described = await waitFor('a reason in the description of the pod', 120_000, async () => {
    const text = await suite.kubectl([
      ...['describe', 'pod', 'without', '--namespace', team.namespace],
    ])
    return text.includes('AccessDenied') ? text.replaceAll(/\s+/g, ' ') : undefined
  })
  expect(described).toContain(target)
  expect(described).toContain('sts:AssumeRole')
}, 180_000)

describe('what the Namespace does not permit is denied', () => {
  test.each([
    ['a target of another team', { 'target-role-arn': 'arn:aws:iam::444455556666:role/other' }],
    ['a tag that it does not permit', { 'session-tags': 'team=finance' }],
    ['a tag that claims another namespace', { 'session-tags': 'from=kube-system' }],
    ['a reserved tag', { 'session-tags': 'kubernetes-namespace=kube-system' }],
    ['a reserved tag in other letters', { 'session-tags': 'Kubernetes-Namespace=kube-system' }],
  ])('%s', async (_what, annotations) => {
    await expect(apply('denied', annotations)).rejects.toThrow(/nocreds/)
  })
})
