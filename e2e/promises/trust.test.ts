import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ACCOUNT, AUDIENCE, ISSUER } from '../cluster/aws.ts'
import {
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmI,
  type Suite,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

let suite: Suite

beforeAll(async () => {
  suite = await openSuite('trust')
}, 60_000)

afterAll(() => closeSuite(suite))

test('STS refuses the token of another ServiceAccount, and kubectl describe pod says why', async () => {
  const { kubectl } = suite
  const team = await createTeam(suite, 'refused', { trusts: 'another' })
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app', namespace: team.namespace },
    spec: podSpec(whoAmI()),
  })
  const described = await waitFor('a reason in the description of the pod', 120_000, async () => {
    const text = await kubectl(['describe', 'pod', 'app', '--namespace', team.namespace])
    return text.includes('AccessDenied') ? text : undefined
  })
  const message = /Message: +(.*(?:\n(?! {4,}Exit Code).*)*)/.exec(described)?.[1] ?? described
  const provider = `arn:aws:iam::${ACCOUNT}:oidc-provider/${ISSUER}`
  const subject = `system:serviceaccount:${team.namespace}:app`
  // What happened, to whom, and what to look at.
  expect(message).toContain(
    `AccessDenied: STS refused ${team.role} for ServiceAccount ${team.namespace}/app`,
  )
  expect(message.replaceAll(/\s+/g, ' ')).toContain(
    `Does the role exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity to ${provider} ` +
      `with ${ISSUER}:sub = ${subject} and ${ISSUER}:aud = ${AUDIENCE}?`,
  )
  // The app did not start, and short views do not hide that.
  expect(described).toMatch(/\n {2}app:\n(?: {4}.*\n)*? {4}State: +Waiting\n/)
  const line = await kubectl(['get', 'pod', 'app', '--namespace', team.namespace])
  expect(line).toMatch(/ 0\/2 +Init:(?:PostStartHookError|CrashLoopBackOff|Error) /)
}, 180_000)

test('once the trust policy is put right, the waiting pod starts automatically', async () => {
  const { kubectl, aws } = suite
  const team = await createTeam(suite, 'fixed', { trusts: 'another' })
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app', namespace: team.namespace },
    spec: { ...podSpec(whoAmI()), restartPolicy: 'Never' },
  })
  const exchanger = ['logs', 'app', '--namespace', team.namespace, '-c', 'nocreds-exchanger']
  await waitFor('a refusal in the log of the exchanger', 60_000, async () =>
    (await kubectl(exchanger)).includes('AccessDenied') ? true : undefined,
  )
  await aws.iam('DeleteRole', { RoleName: team.namespace })
  await aws.createRole(team.namespace, `${team.namespace}:app`)
  expect(await identityOf(suite, team, 'app')).toEqual(team.identity)
}, 180_000)
