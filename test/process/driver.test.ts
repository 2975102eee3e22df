import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { CSI_DRIVER } from '../../contract/names.ts'
import { realClock } from '../../shared/base/clock.ts'
import { bundle } from '../../tools/build/programs.ts'
import { startAuthority, type TestAuthority } from '../fakes/authority/server.ts'
import {
  CREDENTIALS_ONLY,
  podNamed,
  ROLE,
  startDriverNode,
  type DriverNode,
  type DriverNodeOptions,
} from '../fakes/driver-node.ts'
import { claimsOf, unsignedToken } from '../fakes/driver-samples.ts'
import { eventually } from '../fakes/eventually.ts'
import { thrownBy } from '../fakes/exchanger-samples.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'

let node: DriverNode
let dist: string
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  await bundle('test/fakes/driver-main.ts', join(dist, 'driver.mjs'))
})
afterAll(() => rm(dist, { recursive: true }))
afterEach(() => node.close())

async function startNode(options: Omit<DriverNodeOptions, 'program'> = {}): Promise<void> {
  node = await startDriverNode({ ...options, program: join(dist, 'driver.mjs') })
}

const succeeds = (action: () => Promise<unknown>): Promise<boolean> =>
  action().then(
    () => true,
    () => false,
  )

const POD = podNamed('app-1')
const targetFolder = (uid: string): string =>
  join(node.kubelet.podsFolder, uid, 'volumes/kubernetes.io~csi/nocreds-driver')

/** Lets STS trust these ServiceAccounts of the namespace alone. */
function trustOnly(name: string): void {
  node.sts.setTrust(
    ROLE,
    trustPolicy({
      issuer: node.issuer.url,
      subject: `system:serviceaccount:team-a:${name}`,
      audience: 'sts.amazonaws.com',
      accountId: '111122223333',
    }),
  )
}

describe.each(['1.30', '1.37'] as const)('with a kubelet of release %s', (release) => {
  beforeEach(async () => {
    await startNode({ release })
  })

  test('a pod gets credentials of its role, before its app starts', async () => {
    await node.startPod(POD)
    expect(await node.credentialsOf(POD)).toMatchObject({ AccountId: '111122223333' })
    expect(node.sts.calls).toMatchObject([{ sessionName: 'team-a.app', outcome: 'success' }])
    expect(await readdir(targetFolder(POD.uid))).toEqual(['mount'])
    await node.republish(POD)
    expect(node.sts.calls).toHaveLength(1)
    await node.stopPod(POD)
    await eventually(() => node.lines.some(({ msg }) => msg === 'volume published'))
  })
})

describe('many pods', () => {
  test('a hundred of one ServiceAccount need one exchange', async () => {
    await startNode()
    const pods = Array.from({ length: 100 }, (_, index) => podNamed(`app-${index}`))
    await Promise.all(pods.map((pod) => node.startPod(pod)))
    expect(node.sts.calls).toHaveLength(1)
    const keys = await Promise.all(
      pods.map(async (pod) => (await node.credentialsOf(pod)).AccessKeyId),
    )
    expect(new Set(keys).size).toBe(1)
  }, 60_000)

  test('pods whose session name has the pod in it have one each', async () => {
    await startNode()
    const credentials = { ...CREDENTIALS_ONLY.credentials!, sessionName: '{namespace}.{pod}' }
    const pods = [podNamed('app-1'), podNamed('app-2')]
    for (const pod of pods) await node.startPod(pod, { ...CREDENTIALS_ONLY, credentials })
    expect(node.sts.calls.map(({ sessionName }) => sessionName)).toEqual([
      'team-a.app-1',
      'team-a.app-2',
    ])
  })
})

test('a ServiceAccount that is deleted and made again shares nothing with the former one', async () => {
  await startNode({ lifetimeSeconds: 6 })
  const [former, other] = [podNamed('app-1'), podNamed('app-2')]
  await node.startPod(former)
  const first = await node.credentialsOf(former)
  node.issuer.recreateServiceAccount('team-a', 'app')
  await node.startPod(other)
  expect(node.sts.calls).toHaveLength(2)
  expect((await node.credentialsOf(other)).AccessKeyId).not.toBe(first.AccessKeyId)
  await eventually(async () => (await node.credentialsOf(former)).AccessKeyId !== first.AccessKeyId)
  const [one, two] = [await node.credentialsOf(former), await node.credentialsOf(other)]
  expect(one.AccessKeyId).not.toBe(two.AccessKeyId)
}, 60_000)

describe('over the lifetime of credentials', () => {
  test('they are replaced in every pod, from the newest token', async () => {
    await startNode({ lifetimeSeconds: 6 })
    const pods = [podNamed('app-1'), podNamed('app-2')]
    for (const pod of pods) await node.startPod(pod)
    const first = await node.credentialsOf(pods[0]!)
    await eventually(async () => {
      const now = await Promise.all(pods.map((pod) => node.credentialsOf(pod)))
      return now.every(({ AccessKeyId }) => AccessKeyId !== first.AccessKeyId)
    })
  }, 60_000)

  test('STS is away: they stay until they expire, and then they are gone', async () => {
    await startNode({ lifetimeSeconds: 6 })
    await node.startPod(POD)
    await node.sts.stop()
    await node.republish(POD)
    expect(await node.credentialsOf(POD)).toBeDefined()
    await eventually(async () => !(await succeeds(() => node.credentialsOf(POD))))
    await node.republish(POD) // the kubelet of a running pod is never told of a failure
    await node.sts.start()
    await eventually(async () => {
      await node.republish(POD)
      return succeeds(() => node.credentialsOf(POD))
    })
  }, 90_000)
})

describe('a driver that is killed', () => {
  test('knows its pods again by their next publish, without an exchange at once', async () => {
    await startNode()
    await node.startPod(POD)
    const before = await node.credentialsOf(POD)
    await node.endDriver('SIGKILL')
    expect(await node.credentialsOf(POD)).toEqual(before)
    await node.startDriver()
    await node.republish(POD)
    expect(await node.credentialsOf(POD)).toEqual(before)
    expect(node.sts.calls).toHaveLength(1)
    await node.startPod(podNamed('app-2'))
    expect(node.sts.calls).toHaveLength(2) // what stood in a pod's folder is given to no other pod
  })

  test('after a reboot of the node a pod starts again, so it waits for credentials or is told why there are none', async () => {
    await startNode()
    await node.startPod(POD)
    await node.endDriver('SIGKILL')
    await node.emptyVolumes(POD) // its folders on the disk are still there
    await node.startDriver()
    trustOnly('somebody-else')
    expect(await thrownBy(() => node.republish(POD))).toMatchObject({
      details: expect.stringMatching(/^AccessDenied: /),
    })
    expect(await thrownBy(() => node.republish(POD))).toBeDefined()
  }, 60_000)

  test('a request that a newer version would refuse is no failure for a pod that runs', async () => {
    await startNode()
    await node.startPod(POD)
    const tokens = { 'sts.amazonaws.com': unsignedToken(claimsOf(POD)) }
    const publish = { volume: 'nocreds-driver', attributes: { unknown: 'x' }, tokens }
    await node.kubelet.publish(POD, publish)
    expect(await thrownBy(() => node.kubelet.publish(podNamed('app-2'), publish))).toBeDefined()
    await eventually(() => node.lines.some(({ msg }) => msg.startsWith('republish failed')))
  })

  test('one that is told to stop leaves no socket', async () => {
    await startNode()
    const folder = join(node.kubelet.podsFolder, '..')
    expect(await node.endDriver('SIGTERM')).toBe(0)
    expect(await readdir(join(folder, 'plugins_registry'))).toEqual([])
    expect(await readdir(join(folder, 'plugins', CSI_DRIVER))).toEqual([])
    await node.startDriver()
  })
})

describe('certificates', () => {
  const BOTH = { ...CREDENTIALS_ONLY, certificate: { durationSeconds: 3600, dnsNames: [] } }
  let authority: TestAuthority
  beforeEach(async () => {
    authority = await startAuthority({
      clock: realClock,
      namespace: 'team-a',
      serviceAccount: 'app',
      isGood: () => true,
      lifetimeSeconds: 12,
    })
    await startNode({ authority })
  })
  afterEach(() => authority.stop())

  test('each pod has a key of its own, beside credentials that are shared, and is renewed', async () => {
    const pods = [podNamed('app-1'), podNamed('app-2')]
    for (const pod of pods) await node.startPod(pod, BOTH)
    const [one, other] = await Promise.all(pods.map((pod) => node.certificateOf(pod)))
    expect(one!.key).not.toBe(other!.key)
    expect(one!.trustBundle).toBe(authority.trustBundle)
    expect(node.sts.calls).toHaveLength(1)
    const leaf = new X509Certificate(one!.certificate)
    expect(leaf.checkPrivateKey(createPrivateKey(one!.key))).toBe(true)
    await eventually(async () => (await node.certificateOf(pods[0]!)).key !== one!.key)
  }, 60_000)

  test('the authority is away: the pod says so, and starts once it is back', async () => {
    await authority.stop()
    const wanted = { credentials: undefined, certificate: BOTH.certificate }
    const started = node.startPod(POD, wanted)
    await authority.start()
    await started
    expect((await node.certificateOf(POD)).key).toContain('PRIVATE KEY')
  }, 60_000)
})

describe("the pod's events say", () => {
  beforeEach(async () => {
    await startNode()
  })

  test("STS's reason, with what to check", async () => {
    trustOnly('somebody-else')
    const error = await thrownBy(() => node.startPod(POD))
    expect(error).toMatchObject({
      details: expect.stringMatching(
        /^AccessDenied: STS refused arn:aws:iam::111122223333:role\/app for ServiceAccount team-a\/app: .*trust policy/,
      ),
    })
    expect(await readdir(targetFolder(POD.uid))).toEqual([])
    trustOnly('*')
    await eventually(() => succeeds(() => node.republish(POD)))
  }, 60_000)

  test('which attribute is wrong', async () => {
    await node.kubelet.preparePod(POD, { emptyDir: 'nocreds-credentials', csi: 'nocreds-driver' })
    const tokens = { 'sts.amazonaws.com': unsignedToken(claimsOf(POD)) }
    const publish = { volume: 'nocreds-driver', attributes: { 'role-arn': 'x' }, tokens }
    expect(await thrownBy(() => node.kubelet.publish(POD, publish))).toMatchObject({
      details: expect.stringMatching(/^volume attribute role-arn is "x"; allowed: /),
    })
  })

  test('that the token is of another pod', async () => {
    await node.kubelet.preparePod(POD, { emptyDir: 'nocreds-credentials', csi: 'nocreds-driver' })
    const token = unsignedToken(claimsOf({ ...POD, serviceAccount: 'admin' }))
    const tokens = { 'sts.amazonaws.com': token }
    const publish = { volume: 'nocreds-driver', attributes: {}, tokens }
    expect(await thrownBy(() => node.kubelet.publish(POD, publish))).toMatchObject({
      details:
        'the token for "sts.amazonaws.com" is not of this pod: its claim serviceaccount.name is not app',
    })
  })

  test('that the CSIDriver does not request the audience', async () => {
    const credentials = { ...CREDENTIALS_ONLY.credentials!, audience: 'other' }
    const started = node.startPod(POD, { ...CREDENTIALS_ONLY, credentials })
    expect(await thrownBy(() => started)).toMatchObject({
      details: expect.stringMatching(
        /no token for the audience other, but for sts\.amazonaws\.com, nocreds\.dev\/authority; CSIDriver/,
      ),
    })
  })
})
