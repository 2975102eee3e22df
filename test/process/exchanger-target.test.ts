/** A sidecar whose app has a second role: the built programs, and an STS that knows both. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { parseCredentialDocument, type CredentialDocument } from '../../contract/credentials.ts'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { RESERVED_TAG_KEYS } from '../../contract/session-tags.ts'
import { realClock } from '../../shared/base/clock.ts'
import { startConnectProxy } from '../fakes/connect-proxy.ts'
import { makePod, start, until, type Pod, type Running } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'
import { CONFIG } from '../fakes/exchanger-samples.ts'
import { startIssuer, type Issuer } from '../fakes/issuer.ts'
import { startSts, type Sts } from '../fakes/sts/server.ts'
import { mayAssume, targetTrust } from '../fakes/sts/target-role.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'
import { throwawayCertificate } from '../fakes/throwaway-certificate.ts'

const { roleArn, namespace, serviceAccount, audience } = CONFIG
const TARGET = 'arn:aws:iam::444455556666:role/data/reader'
const BOTH = `${TARGET}, assumed from ${roleArn}, for ServiceAccount team-a/app`
const EXTERNAL_ID = 'nocreds-team-a'
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/*' }],
})
const DEFAULT_TAGS = {
  podUid: '0d9bb6f2-8f3f-4b6a-8d53-1d3c2f5b9a11',
  clusterArn: 'arn:aws:eks:eu-central-1:111122223333:cluster/prod',
  clusterName: 'prod',
}

let dist: string
let issuer: Issuer
beforeAll(async () => {
  issuer = await startIssuer({ clock: realClock })
  dist = await mkdtemp(join(tmpdir(), 'nocreds-target-'))
  await bundleExchanger(dist)
})
afterAll(async () => {
  await issuer.close()
  await rm(dist, { recursive: true })
})

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

type StsChoices = Pick<Parameters<typeof startSts>[0], 'lifetimeSeconds' | 'tls'>

/** The target trusts the first role if it has the external ID. */
async function startBoth(choices: StsChoices = {}): Promise<Sts> {
  const subject = `system:serviceaccount:${namespace}:${serviceAccount}`
  const trust = trustPolicy({ issuer: issuer.url, subject, audience, accountId: '111122223333' })
  const sts = await startSts({
    clock: realClock,
    issuers: [issuer],
    roles: [
      { arn: roleArn, trust, permissions: [mayAssume(TARGET)] },
      { arn: TARGET, trust: targetTrust(roleArn, EXTERNAL_ID) },
    ],
    ...choices,
  })
  closing.push(() => sts.stop())
  return sts
}

interface Started {
  readonly pod: Pod
  readonly program: Running
}

async function startProgram(
  command: string,
  settings: Partial<CredentialsConfig>,
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const pod = await makePod({ targetRoleArn: TARGET, externalId: EXTERNAL_ID, ...settings })
  closing.push(() => rm(join(pod.config.credentialsFolder, '..'), { recursive: true }))
  const bound = { namespace, serviceAccount, pod: CONFIG.pod, audience, expiresInSeconds: 3600 }
  await pod.putToken(await issuer.mintToken(bound))
  const program = start(join(dist, 'exchanger.mjs'), command, { ...pod.env, ...env })
  closing.push(async () => {
    program.kill('SIGKILL')
    await program.exited
  })
  return { pod, program }
}

async function exchange(...[settings, env]: [Partial<CredentialsConfig>, Record<string, string>?]) {
  const { program } = await startProgram('exchange', settings, env)
  return { exitCode: await program.exited, ...program.said }
}

function textsIn(folder: string): Promise<string[]> {
  return readdir(folder).then((files) =>
    Promise.all(files.map((file) => readFile(join(folder, file), 'utf8'))),
  )
}

async function identityOf(sts: Sts, document: CredentialDocument): Promise<string | undefined> {
  const { AccessKeyId, SecretAccessKey, SessionToken } = document
  const credentials = {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
  }
  const client = new STSClient({ region: 'eu-central-1', endpoint: sts.url, credentials })
  const { Arn } = await client.send(new GetCallerIdentityCommand({}))
  client.destroy()
  return Arn
}

describe('one exchange', () => {
  test('gets the role in the other account, by its external ID', async () => {
    const sts = await startBoth()
    const { exitCode, stdout, stderr } = await exchange({ stsEndpoint: sts.url })
    expect([exitCode, stderr]).toEqual([0, ''])
    const document = parseCredentialDocument(stdout)
    expect(document.AccountId).toBe('444455556666')
    expect(await identityOf(sts, document)).toBe(
      'arn:aws:sts::444455556666:assumed-role/reader/team-a.app',
    )
    expect(sts.calls.slice(0, 2)).toMatchObject([
      { action: 'AssumeRoleWithWebIdentity', roleArn, durationSeconds: 900, outcome: 'success' },
      { action: 'AssumeRole', roleArn: TARGET, durationSeconds: 3600, outcome: 'success' },
    ])
  })

  test('tells STS tags and policies of the last session, and nothing of them of the first', async () => {
    const sts = await startBoth()
    const policyArn = 'arn:aws:iam::aws:policy/ReadOnlyAccess'
    const { exitCode } = await exchange({
      stsEndpoint: sts.url,
      sessionTags: [{ key: 'Team', value: 'a.{pod}' }],
      defaultTags: DEFAULT_TAGS,
      sessionPolicy: POLICY,
      sessionPolicyArns: [policyArn],
    })
    expect(exitCode).toBe(0)
    const [first, second] = sts.sessions()
    expect(first).toMatchObject({ tags: new Map(), policy: undefined, policyArns: [] })
    expect(second).toMatchObject({ policy: POLICY, policyArns: [policyArn] })
    expect([...second!.tags]).toEqual([
      ['Team', 'a.app-1'],
      ['eks-cluster-arn', DEFAULT_TAGS.clusterArn],
      ['eks-cluster-name', 'prod'],
      ['kubernetes-namespace', 'team-a'],
      ['kubernetes-service-account', 'app'],
      ['kubernetes-pod-name', 'app-1'],
      ['kubernetes-pod-uid', DEFAULT_TAGS.podUid],
    ])
    expect(second!.transitiveTagKeys).toEqual(RESERVED_TAG_KEYS)
  })

  test('of one role is narrowed, too', async () => {
    const sts = await startBoth()
    const alone = { targetRoleArn: undefined, externalId: undefined, sessionPolicy: POLICY }
    const { exitCode } = await exchange({ stsEndpoint: sts.url, ...alone })
    expect(exitCode).toBe(0)
    expect(sts.sessions()).toMatchObject([{ roleArn, policy: POLICY }])
  })

  test.each<[string, Partial<CredentialsConfig>, string, RegExp]>([
    ['no external ID', { externalId: undefined }, 'AccessDenied', /external-id/],
    ['another external ID', { externalId: 'other' }, 'AccessDenied', /sts:ExternalId = other/],
    [
      'a policy that is none',
      { sessionPolicy: '{"Statement":[]}' },
      'MalformedPolicyDocument',
      /session-policy/,
    ],
    [
      'a role that is not there',
      { targetRoleArn: `${TARGET}-2` },
      'AccessDenied',
      /sts:AssumeRole on arn:aws:iam::444455556666:role\/data\/reader-2/,
    ],
  ])('is refused with %s, and says which step failed', async (_what, settings, code, hint) => {
    const sts = await startBoth()
    const { exitCode, stdout, stderr } = await exchange({ stsEndpoint: sts.url, ...settings })
    expect([exitCode, stdout]).toEqual([1, ''])
    const target = settings.targetRoleArn ?? TARGET
    expect(JSON.parse(stderr)).toMatchObject({
      code,
      class: 'refused',
      message: expect.stringContaining(`STS refused ${BOTH.replace(TARGET, target)}: `),
      hint: expect.stringMatching(hint),
    })
  })

  test('goes through the proxy with both requests, verified by the CA', async () => {
    const certificate = await throwawayCertificate(['sts.internal.example'])
    const sts = await startBoth({ tls: certificate })
    const hosts = { 'sts.internal.example:443': Number(new URL(sts.url).port) }
    const proxy = await startConnectProxy({ hosts })
    closing.push(() => proxy.stop())
    const { exitCode } = await exchange({
      stsEndpoint: 'https://sts.internal.example',
      stsProxy: proxy.url,
      stsCa: certificate.caPem,
    })
    expect(exitCode).toBe(0)
    expect(proxy.asked).toHaveLength(2)
    expect(sts.calls).toHaveLength(2)
  })
})

describe('attacks', () => {
  test('tags under the keys of nocreds are refused in any case, before anything is sent', async () => {
    const sts = await startBoth()
    for (const key of ['kubernetes-namespace', 'Kubernetes-Namespace', 'EKS-CLUSTER-ARN']) {
      const env = { NOCREDS_SESSION_TAGS: `team=a,${key}=kube-system` }
      const { exitCode, stderr } = await exchange({ stsEndpoint: sts.url }, env)
      expect(exitCode).toBe(2)
      expect(JSON.parse(stderr)).toMatchObject({ code: 'ERR_ENV_OUT_OF_BOUNDS', class: 'refused' })
    }
    expect(sts.calls).toEqual([])
  })

  test('the session of the first role is in no file and in no output, whatever happens', async () => {
    const sts = await startBoth({ lifetimeSeconds: 6 })
    const { pod, program } = await startProgram('run', { stsEndpoint: sts.url })
    const { AccessKeyId } = await until(() => pod.document().catch(() => undefined))
    const published = await textsIn(pod.config.credentialsFolder)
    sts.fault({ kind: 'quote' }, 'AssumeRole')
    const failed = await until(() => program.lines().find(({ msg }) => msg === 'exchange failed'))
    expect(failed['error']).toContain('x-amz-security-token:[secret]')
    program.kill('SIGTERM')
    await program.exited
    const left = await textsIn(pod.config.credentialsFolder)
    const said = [await pod.terminationMessage(), ...Object.values(program.said)]
    const all = [...published, ...left, ...said].join('\n')
    expect(all).toContain(AccessKeyId)
    const ofFirst = sts.sessions().filter((session) => session.roleArn === roleArn)
    expect(ofFirst.length).toBeGreaterThan(1)
    for (const { accessKeyId, secretAccessKey, sessionToken } of ofFirst)
      for (const secret of [accessKeyId, secretAccessKey, sessionToken])
        expect(all).not.toContain(secret)
  }, 30_000)
})

test('a target that does not answer is a failure of the exchange, which its process reports itself', async () => {
  const sts = await startBoth()
  sts.fault({ kind: 'hang' }, 'AssumeRole')
  const { program } = await startProgram('run', { stsEndpoint: sts.url })
  const failed = await until(() => program.lines().find(({ msg }) => msg === 'exchange failed'))
  expect(failed).toMatchObject({ code: 'ETIMEDOUT', error: expect.stringContaining(BOTH) })
}, 30_000)
