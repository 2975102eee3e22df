/**
 * What a developer tries with the volume of the driver: changed, added by hand, as a PersistentVolume, and in a running pod
 * by ephemeral containers and updates. Where webhook and guard see it, and where the guard alone does.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Operation } from 'rfc6902'
import { CSI_DRIVER } from '../../contract/names.ts'
import type { ApiAnswer } from '../support/apiserver.ts'
import {
  changed,
  expectAdmitted,
  expectStopped,
  hideFromWebhook,
  injectedPod,
  podOf,
  send,
  stopperOf,
  type AttackPod,
} from '../support/attack.ts'
import { closeGround, openGround, OWNER, type Ground, type Place } from '../support/attackers.ts'

const VOLUME = 'nocreds-driver'
const KUBELETS = 'csi.storage.k8s.io~1'

let ground: Ground
let show: () => Promise<void>
let written: AttackPod

beforeAll(async () => {
  ground = await openGround('driver-attacks')
  show = await hideFromWebhook(ground)
  const annotations = { 'role-arn': ground.role, exchanger: 'driver' }
  written = await injectedPod(ground, 'team-a', annotations)
}, 120_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

const create = (place: Place, body: object): Promise<ApiAnswer> =>
  send(ground, { place, resource: 'pods', body })

/** Path of a volume of the pod that the webhook writes. */
function at(name: string, field = ''): string {
  const index = written.spec.volumes!.findIndex((volume) => volume.name === name)
  return `/spec/volumes/${index}${field}`
}
const csi = (field: string, value: unknown): Operation[] => [
  { op: 'add', path: at(VOLUME, `/csi/${field}`), value },
]
const attribute = (key: string, value: string): Operation[] => csi(`volumeAttributes/${key}`, value)
const mark = (value: string): Operation[] => [
  { op: 'add', path: '/metadata/annotations/nocreds.dev~1injected-role', value },
]
const other = (): string => ground.role.replace(/-app$/, '-other')
const foreign = (): string => 'arn:aws:iam::111122223333:role/admin'
const mount = (value: object): Operation[] => [
  { op: 'add', path: '/spec/containers/0/volumeMounts/-', value },
]
const second = (driver: string): Operation[] => [
  { op: 'add', path: '/spec/volumes/-', value: { name: 'mine', csi: { driver, readOnly: true } } },
]

/** As JSON patch of the pod that the webhook writes. */
const CHANGES: Readonly<Record<string, () => Operation[]>> = {
  'a role of another pod, which the namespace permits': () => attribute('role-arn', other()),
  'a role that the namespace does not permit': () => attribute('role-arn', foreign()),
  'such a role with its mark': () => [...attribute('role-arn', foreign()), ...mark(foreign())],
  "another team's session name": () => attribute('session-name', 'team-b.app'),
  'a session that is too long': () => attribute('session-duration', '43201'),
  'an attribute of their own': () => attribute('sts-endpoint', 'http://attacker'),
  'tokens of their own': () => attribute(`${KUBELETS}serviceAccount.tokens`, '{}'),
  "another pod's ServiceAccount": () => attribute(`${KUBELETS}serviceAccount.name`, 'app'),
  "another pod's uid": () => attribute(`${KUBELETS}pod.uid`, 'a-b-c'),
  'a secret of their own (nodePublishSecretRef)': () =>
    csi('nodePublishSecretRef', { name: 'mine' }),
  'a file system': () => csi('fsType', 'ext4'),
  'a volume that can be written': () => csi('readOnly', false),
  'a second volume of the driver': () => second(CSI_DRIVER),
  'credentials on the disk': () => [
    { op: 'replace', path: at('nocreds-credentials', '/emptyDir'), value: {} },
  ],
  'credentials that the app can write': () =>
    mount({ name: 'nocreds-credentials', mountPath: '/mine' }),
  'the mount of the driver, to be written': () => mount({ name: VOLUME, mountPath: '/mine' }),
  'the sidecar beside it': () => [
    {
      op: 'add',
      path: '/spec/initContainers',
      value: [{ name: 'nocreds-exchanger', image: 'example/app:1', restartPolicy: 'Always' }],
    },
  ],
}

/** What of the pod decides what it gets. */
function gainOf({ metadata, spec }: AttackPod): object {
  const containers = spec['containers'] as readonly { readonly volumeMounts: unknown }[]
  const annotations = metadata['annotations'] as Readonly<Record<string, string>>
  const role = annotations['nocreds.dev/injected-role']
  const mounts = containers.map(({ volumeMounts }) => volumeMounts)
  return { role, mounts, volumes: spec.volumes, initContainers: spec.initContainers ?? [] }
}

describe.each<[string, Place]>([
  ['webhook and guard', 'team-a'],
  ['the guard alone', 'unseen'],
])('the volume that the webhook writes, before %s', (_, place) => {
  test('admitted: without a change, so that it is the change that is refused', async () => {
    expectAdmitted(await create(place, written))
  })
  test.each(Object.entries(CHANGES))('gains nothing: %s', async (_what, change) => {
    const answer = await create(place, changed(written, change()))
    // The webhook puts back what it writes itself.
    if (place === 'team-a' && answer.status === 201)
      expect(gainOf(answer.body as AttackPod)).toEqual(gainOf(written))
    else
      expect({ ...answer, by: stopperOf(answer) }).toMatchObject({
        by: expect.stringMatching(/^(nocreds-|pods\.nocreds\.dev$)/),
        status: 403,
      })
  })
  test('refused: the whole of it in a pod that is opted out', async () => {
    const { annotations } = written.metadata
    const metadata = {
      ...written.metadata,
      annotations: { ...(annotations as object), 'nocreds.dev/inject': 'false' },
    }
    const answer = await create(place, { ...written, metadata })
    expect({ ...answer, by: stopperOf(answer) }).toMatchObject({
      by: expect.stringMatching(/^(nocreds-|pods\.nocreds\.dev$)/),
      status: 403,
    })
  })
})

test('refused: the whole of it in a namespace that is not enabled', async () => {
  expectStopped(await create('tobe', written), 'nocreds-reserved-names', VOLUME)
})

test('refused: a PersistentVolume of the driver, even by an administrator', async () => {
  const spec = {
    capacity: { storage: '1Mi' },
    accessModes: ['ReadOnlyMany'],
    csi: { driver: CSI_DRIVER, volumeHandle: 'mine', volumeAttributes: { 'role-arn': foreign() } },
  }
  const metadata = { name: ground.prefix }
  const body = { apiVersion: 'v1', kind: 'PersistentVolume', metadata, spec }
  const post = { method: 'POST', path: '/api/v1/persistentvolumes', body } as const
  expectStopped(await ground.api(post), 'nocreds-driver-persistent-volumes', 'PersistentVolumes')
  expectStopped(await ground.api({ ...post, as: OWNER }), 'RBAC', 'persistentvolumes')
})

describe('a running pod', () => {
  beforeAll(async () => {
    const metadata = { ...written.metadata, name: 'kept' }
    const body = { ...written, metadata }
    expectAdmitted(await send(ground, { place: 'team-a', resource: 'pods', body, isReal: true }))
  })
  const update = (resource: string, body: object): Promise<ApiAnswer> =>
    send(ground, { as: OWNER, place: 'team-a', resource, type: 'strategic-merge', body })
  const debug = (more: object): Promise<ApiAnswer> => {
    const container = { name: 'peek', image: 'example/app:1', ...more }
    return update('pods/kept/ephemeralcontainers', { spec: { ephemeralContainers: [container] } })
  }

  test.each([VOLUME, 'nocreds-credentials'])(
    'refused: an ephemeral container with the volume %s',
    async (name) => {
      const volumeMounts = [{ name, mountPath: '/peek', readOnly: true }]
      expectStopped(await debug({ volumeMounts }), 'nocreds-pod-updates', name)
    },
  )
  test('admitted: one that looks at the app alone', async () => {
    expectAdmitted(await debug({ targetContainerName: 'app' }))
  })
  test('refused: another mark', async () => {
    const annotations = { 'nocreds.dev/injected-role': other() }
    const answer = await update('pods/kept', { metadata: { annotations } })
    expectStopped(answer, 'nocreds-pod-updates', 'nocreds.dev/')
  })
  test('refused by Kubernetes: other attributes', async () => {
    const volumes = [{ name: VOLUME, csi: { volumeAttributes: { 'role-arn': other() } } }]
    expect((await update('pods/kept', { spec: { volumes } })).status).toBe(422)
  })
  test('admitted: a change that is none of nocreds', async () => {
    expectAdmitted(await update('pods/kept', { metadata: { labels: { mine: 'x' } } }))
  })
})

test('admitted: a pod that is opted out and has nothing of nocreds', async () => {
  expectAdmitted(await create('team-a', podOf({}, { inject: 'false' })))
})
