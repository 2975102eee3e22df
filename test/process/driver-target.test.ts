/** A driver whose pods have a second role, and an STS that knows both. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { DriverCredentials, DriverRequest } from '../../contract/driver-volume.ts'
import { bundle } from '../../tools/build/programs.ts'
import {
  CREDENTIALS_ONLY,
  podNamed,
  ROLE,
  startDriverNode,
  type DriverNode,
} from '../fakes/driver-node.ts'
import { eventually } from '../fakes/eventually.ts'
import { thrownBy } from '../fakes/exchanger-samples.ts'
import { targetTrust } from '../fakes/sts/target-role.ts'

const TARGET = 'arn:aws:iam::444455556666:role/data/reader'
const EXTERNAL_ID = 'nocreds-team-a'
const CLUSTER_ARN = 'arn:aws:eks:eu-central-1:111122223333:cluster/prod'
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }],
})

let node: DriverNode
let dist: string
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  await bundle('test/fakes/driver-main.ts', join(dist, 'driver.mjs'))
})
afterAll(() => rm(dist, { recursive: true }))
afterEach(() => node.close())

async function startNode(): Promise<void> {
  node = await startDriverNode({
    program: join(dist, 'driver.mjs'),
    targets: [{ arn: TARGET, trust: targetTrust(ROLE, EXTERNAL_ID) }],
    flags: ['--cluster-arn', CLUSTER_ARN, '--cluster-name', 'prod'],
  })
}

function wanted(more: Partial<DriverCredentials> = {}): DriverRequest {
  const targeted = { targetRoleArn: TARGET, externalId: EXTERNAL_ID }
  const credentials = { ...CREDENTIALS_ONLY.credentials!, ...targeted, ...more }
  return { ...CREDENTIALS_ONLY, credentials }
}

const actions = (): (string | undefined)[] => node.sts.calls.map(({ action }) => action)

describe('a target role', () => {
  test('in another account: its credentials are published, and pods that want the same share them', async () => {
    await startNode()
    const pods = [podNamed('app-1'), podNamed('app-2')]
    for (const pod of pods) await node.startPod(pod, wanted({ sessionPolicy: POLICY }))
    const [one, other] = await Promise.all(pods.map((pod) => node.credentialsOf(pod)))
    expect(one).toMatchObject({ AccountId: '444455556666' })
    expect(other).toEqual(one)
    expect(actions()).toEqual(['AssumeRoleWithWebIdentity', 'AssumeRole'])
    expect(node.sts.sessions()).toMatchObject([
      { roleArn: ROLE, policy: undefined },
      { roleArn: TARGET, policy: POLICY, tags: new Map() },
    ])
  })

  test('with the tags of a pod: each has its own, and they need one session of the first role', async () => {
    await startNode()
    const pods = Array.from({ length: 8 }, (_, index) => podNamed(`app-${index}`))
    const tagged = wanted({
      defaultSessionTags: 'true',
      sessionTags: [{ key: 'run', value: '{pod}' }],
    })
    await Promise.all(pods.map((pod) => node.startPod(pod, tagged)))
    const published = await Promise.all(pods.map((pod) => node.credentialsOf(pod)))
    expect(new Set(published.map(({ AccessKeyId }) => AccessKeyId)).size).toBe(pods.length)
    expect(actions().filter((one) => one === 'AssumeRoleWithWebIdentity')).toHaveLength(1)
    for (const [index, pod] of pods.entries()) {
      const key = published[index]!.AccessKeyId
      const session = node.sts.sessions().find(({ accessKeyId }) => accessKeyId === key)!
      expect(Object.fromEntries(session.tags)).toEqual({
        run: pod.name,
        'eks-cluster-arn': CLUSTER_ARN,
        'eks-cluster-name': 'prod',
        'kubernetes-namespace': 'team-a',
        'kubernetes-service-account': 'app',
        'kubernetes-pod-name': pod.name,
        'kubernetes-pod-uid': pod.uid,
      })
    }
  }, 60_000)

  test('another ServiceAccount has a first session of its own', async () => {
    await startNode()
    for (const account of ['app', 'other'])
      await node.startPod(podNamed(`${account}-1`, account), wanted())
    expect(actions()).toEqual([
      'AssumeRoleWithWebIdentity',
      'AssumeRole',
      'AssumeRoleWithWebIdentity',
      'AssumeRole',
    ])
  })

  test("without its external ID: the pod's events say which role refused which", async () => {
    await startNode()
    const pod = podNamed('app-1')
    expect(
      await thrownBy(() => node.startPod(pod, wanted({ externalId: undefined }))),
    ).toMatchObject({
      details: expect.stringContaining(
        `AccessDenied: STS refused ${TARGET}, assumed from ${ROLE}, for ServiceAccount team-a/app: `,
      ),
    })
    await node.startPod(pod, wanted())
    expect(await node.credentialsOf(pod)).toMatchObject({ AccountId: '444455556666' })
  })

  test('the session of the first role is in no file of a pod and in no line of the log', async () => {
    await startNode()
    const pod = podNamed('app-1')
    node.sts.fault({ kind: 'quote' }, 'AssumeRole')
    const error = await thrownBy(() => node.startPod(pod, wanted()))
    expect((error as { details: string }).details).toContain('x-amz-security-token:[secret]')
    node.sts.fault(undefined)
    await eventually(() =>
      node.republish(pod, wanted()).then(
        () => true,
        () => false,
      ),
    )
    const folder = join(node.kubelet.podsFolder, '..')
    const files = await readdir(folder, { recursive: true, withFileTypes: true })
    const texts = await Promise.all(
      files
        .filter((file) => file.isFile())
        .map((file) => readFile(join(file.parentPath, file.name), 'utf8')),
    )
    const all = [...texts, JSON.stringify(node.lines), JSON.stringify(error)].join('\n')
    expect(all).toContain((await node.credentialsOf(pod)).AccessKeyId)
    const ofFirst = node.sts.sessions().filter(({ roleArn }) => roleArn === ROLE)
    expect(ofFirst).toHaveLength(2) // none is kept after a step that failed
    for (const { accessKeyId, secretAccessKey, sessionToken } of ofFirst)
      for (const secret of [accessKeyId, secretAccessKey, sessionToken])
        expect(all).not.toContain(secret)
  }, 60_000)
})
