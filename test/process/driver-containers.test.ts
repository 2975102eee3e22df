/** A driver whose pods have a role for each container. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { awsConfigFile } from '../../contract/config-file.ts'
import { slotOf } from '../../contract/container-roles.ts'
import type { DriverRequest } from '../../contract/driver-volume.ts'
import type { Pod } from '../../driver/pod-tokens.ts'
import { bundle } from '../../tools/build/programs.ts'
import {
  CREDENTIALS_ONLY,
  podNamed,
  ROLE,
  startDriverNode,
  type DriverNode,
  type DriverNodeOptions,
} from '../fakes/driver-node.ts'
import { eventually } from '../fakes/eventually.ts'
import { thrownBy, type LogLine } from '../fakes/exchanger-samples.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'

const BACKUP = 'arn:aws:iam::111122223333:role/backup'
const REPORTS = 'arn:aws:iam::444455556666:role/reports'

let node: DriverNode
let dist: string
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  await bundle('test/fakes/driver-main.ts', join(dist, 'driver.mjs'))
})
afterAll(() => rm(dist, { recursive: true }))
afterEach(() => node.close())

async function startNode(options: Omit<DriverNodeOptions, 'program'> = {}): Promise<void> {
  node = await startDriverNode({
    ...options,
    program: join(dist, 'driver.mjs'),
    more: [BACKUP, REPORTS],
  })
}

/** Lets STS trust nobody with the role, or all ServiceAccounts of the namespace again. */
function trust(roleArn: string, whom: 'nobody' | '*'): void {
  const accountId = roleArn.split(':')[4]!
  const subject = `system:serviceaccount:team-a:${whom}`
  const { url: issuer } = node.issuer
  const audience = 'sts.amazonaws.com'
  node.sts.setTrust(roleArn, trustPolicy({ issuer, subject, audience, accountId }))
}

function wanted(roleArn: string, ...containerRoleArns: string[]): DriverRequest {
  const credentials = { ...CREDENTIALS_ONLY.credentials!, roleArn }
  const more = containerRoleArns.length === 0 ? {} : { containerRoleArns }
  return { ...CREDENTIALS_ONLY, credentials: { ...credentials, ...more } }
}

const volumesOf = ({ uid }: Pod): string =>
  join(node.kubelet.podsFolder, uid, 'volumes/kubernetes.io~empty-dir')

/** The role of the session whose credentials are there; undefined if there are none. */
async function roleIn(pod: Pod, slot: number): Promise<string | undefined> {
  const document = await node.credentialsOf(pod, slot).catch(() => undefined)
  return node.sts.sessions().find(({ accessKeyId }) => accessKeyId === document?.AccessKeyId)
    ?.roleArn
}

const askedFor = (): (string | undefined)[] => node.sts.calls.map(({ roleArn }) => roleArn)

/** Of one volume, or of all. */
async function textsIn(folder: string): Promise<string> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath, file.name), 'utf8'))
  return (await Promise.all(texts)).join('\n')
}

/** The log of a program arrives a moment later. */
async function said(msg: string): Promise<LogLine | undefined> {
  const find = (): LogLine | undefined => node.lines.find((line) => line.msg === msg)
  await eventually(() => find() !== undefined)
  return find()
}

const POD = podNamed('app-1')

describe('a pod with three roles', () => {
  test('has the credentials of each in a volume of its own, with nothing of another', async () => {
    await startNode()
    await node.startPod(POD, wanted(ROLE, BACKUP, REPORTS))
    expect(askedFor().toSorted()).toEqual([ROLE, BACKUP, REPORTS].toSorted())
    for (const [slot, roleArn] of [ROLE, BACKUP, REPORTS].entries()) {
      expect(await roleIn(POD, slot)).toBe(roleArn)
      const folder = join(volumesOf(POD), slotOf(slot).volume)
      expect((await readdir(folder)).toSorted()).toEqual(['config', 'credentials.json'])
      // All containers mount their volume at the same path.
      const config = await readFile(join(folder, 'config'), 'utf8')
      expect(config).toBe(awsConfigFile(slotOf(0).folder))
      const text = await textsIn(folder)
      for (const session of node.sts.sessions())
        expect(text.includes(session.secretAccessKey)).toBe(session.roleArn === roleArn)
    }
    expect(await said('volume published')).toMatchObject({
      role: ROLE,
      containerRoles: `${BACKUP} ${REPORTS}`,
    })
    expect(node.lines.filter(({ msg }) => msg === 'credentials published')).toHaveLength(3)
  })

  test('shares each role with pods that have it, in whatever slot', async () => {
    await startNode()
    const [both, alone, turned] = [POD, podNamed('app-2'), podNamed('app-3')]
    await node.startPod(both, wanted(ROLE, BACKUP))
    await node.startPod(alone, wanted(BACKUP))
    await node.startPod(turned, wanted(REPORTS, BACKUP))
    expect(askedFor().toSorted()).toEqual([ROLE, BACKUP, REPORTS].toSorted())
    const shared = await node.credentialsOf(both, 1)
    expect(await node.credentialsOf(alone)).toEqual(shared)
    expect(await node.credentialsOf(turned, 1)).toEqual(shared)
    expect(await roleIn(turned, 0)).toBe(REPORTS)
  })

  test('one of which is refused: the publish fails with its reason, and asks again for it alone', async () => {
    await startNode()
    trust(BACKUP, 'nobody')
    const roles = wanted(ROLE, BACKUP, REPORTS)
    expect(await thrownBy(() => node.startPod(POD, roles))).toMatchObject({
      details: expect.stringMatching(`^AccessDenied: STS refused ${BACKUP} for ServiceAccount`),
    })
    trust(BACKUP, '*')
    await eventually(() =>
      node.republish(POD, roles).then(
        () => true,
        () => false,
      ),
    )
    expect(await roleIn(POD, 1)).toBe(BACKUP)
    for (const once of [ROLE, REPORTS])
      expect(askedFor().filter((one) => one === once)).toHaveLength(1)
  }, 60_000)

  test('one of which is refused later: it is withdrawn, and the others are replaced', async () => {
    await startNode({ lifetimeSeconds: 6 })
    const roles = wanted(ROLE, BACKUP)
    await node.startPod(POD, roles)
    const first = await node.credentialsOf(POD)
    trust(BACKUP, 'nobody')
    await eventually(async () => (await roleIn(POD, 1)) === undefined)
    await node.republish(POD, roles)
    expect(await roleIn(POD, 0)).toBe(ROLE)
    expect((await node.credentialsOf(POD)).AccessKeyId).not.toBe(first.AccessKeyId)
    expect(await said('credentials expired and removed')).toMatchObject({ role: BACKUP })
  }, 60_000)
})

test('a driver that was killed knows the volumes of each role again, without an exchange', async () => {
  await startNode()
  const roles = wanted(ROLE, BACKUP)
  await node.startPod(POD, roles)
  const before = await Promise.all([0, 1].map((slot) => node.credentialsOf(POD, slot)))
  await node.endDriver('SIGKILL')
  await node.startDriver()
  await node.republish(POD, roles)
  const after = await Promise.all([0, 1].map((slot) => node.credentialsOf(POD, slot)))
  expect(after).toEqual(before)
  expect(node.sts.calls).toHaveLength(2)
})

test('roles of containers beside a target role are refused in a volume that somebody else wrote', async () => {
  await startNode()
  const { credentials, ...rest } = wanted(ROLE, BACKUP)
  const targeted = { ...rest, credentials: { ...credentials!, targetRoleArn: REPORTS } }
  expect(await thrownBy(() => node.startPod(POD, targeted))).toMatchObject({
    details: expect.stringContaining('container-role-arns and target-role-arn are both set'),
  })
  expect(node.sts.calls).toEqual([])
})
