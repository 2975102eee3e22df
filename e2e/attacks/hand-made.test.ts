/**
 * Parts of nocreds on a pod that asks for nothing (01), which the webhook would leave alone: where webhook and guard see
 * it, where only the guard does, and in a namespace that is not enabled.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  expectAdmitted,
  hideFromWebhook,
  podOf,
  send,
  stopperOf,
  type AttackPod,
} from '../support/attack.ts'
import { closeGround, DEV, openGround, type Ground, type Place } from '../support/attackers.ts'
import { waitFor } from '../support/wait.ts'

const GATES: readonly (readonly [string, Place])[] = [
  ['webhook and guard', 'team-a'],
  ['the guard alone', 'unseen'],
]
const OPTED_OUT = { inject: 'false' }
const IMAGE = 'nocreds/exchanger:0.1.0'

let ground: Ground
let show: () => Promise<void>

beforeAll(async () => {
  ground = await openGround('pods')
  show = await hideFromWebhook(ground)
}, 90_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

const create = (place: Place, body: object): ReturnType<typeof send> =>
  send(ground, { place, resource: 'pods', body })

async function expectRefused(place: Place, pod: AttackPod): Promise<void> {
  const answer = await create(place, pod)
  const { message, status } = answer
  expect({ message, status }).toMatchObject({ status: 403 })
  if (place === 'unseen') expect(stopperOf(answer)).toMatch(/^nocreds-/)
  else expect(stopperOf(answer)).toMatch(/^(nocreds-|pods\.nocreds\.dev$)/)
}

const token = (audience: string): object => ({
  serviceAccountToken: { audience, path: 'token', expirationSeconds: 3600 },
})
const volume = (name: string, ...sources: readonly object[]): object => ({
  volumes: [{ name, projected: { sources } }],
})
const named = (name: string): object => ({ name, image: IMAGE })
const bundle = { configMap: { name: 'nocreds-trust-bundle' } }
const podCertificate = {
  podCertificate: {
    signerName: 'nocreds.dev/workload',
    keyType: 'ECDSAP256',
    credentialBundlePath: 'all',
  },
}

/** Attack 01 and its kind: parts of nocreds on a pod that asks for nothing. */
const HAND_MADE: readonly (readonly [string, object])[] = [
  [
    '01: a sidecar with the name of the exchanger',
    { initContainers: [{ ...named('nocreds-exchanger'), restartPolicy: 'Always' }] },
  ],
  [
    'an init container with the name of the exchanger',
    { initContainers: [named('nocreds-exchanger')] },
  ],
  ['an app container with the name of the exchanger', { containers: [named('nocreds-exchanger')] }],
  [
    '01: the volume of the authority',
    volume('nocreds-authority', token('nocreds.dev/authority'), bundle),
  ],
  ['the volume of the STS token', volume('nocreds-token', token('sts.amazonaws.com'))],
  ['the volume of the STS token, with another token', volume('nocreds-token', token('vault'))],
  ['a volume of credentials', { volumes: [{ name: 'nocreds-credentials', emptyDir: {} }] }],
  ['a volume of keys', { volumes: [{ name: 'nocreds-tls', emptyDir: {} }] }],
  ['a token for the authority by another name', volume('mine', token('nocreds.dev/authority'))],
  ['the same as second source', volume('mine', token('vault'), token('nocreds.dev/authority'))],
  [
    'a token for STS as third source',
    volume('mine', token('vault'), bundle, token('sts.amazonaws.com')),
  ],
  ['a certificate of the signer of nocreds by the kubelet', volume('mine', podCertificate)],
  [
    'a volume of the CSI driver of nocreds',
    { volumes: [{ name: 'mine', csi: { driver: 'csi.nocreds.dev' } }] },
  ],
  [
    'the volume of the driver as the webhook writes it',
    {
      volumes: [
        {
          name: 'nocreds-driver',
          csi: {
            driver: 'csi.nocreds.dev',
            readOnly: true,
            volumeAttributes: { 'certificate-duration': '3600', 'certificate-dns-names': '' },
          },
        },
      ],
    },
  ],
]

describe.each(GATES)('opted out, before %s', (_, place) => {
  test.each(HAND_MADE)('refused: %s', (_what, spec) =>
    expectRefused(place, podOf({ ...spec }, OPTED_OUT)),
  )

  test('refused: a mark alone, and with generateName', async () => {
    const marked = podOf(
      {},
      { ...OPTED_OUT, 'injected-role': ground.role.replace(ground.prefix, 'admin') },
    )
    const { annotations } = marked.metadata
    const answer = await create(place, {
      ...marked,
      metadata: { annotations, generateName: 'case-' },
    })
    // The webhook takes a forged mark away; the guard refuses it.
    if (place === 'unseen') expect(stopperOf(answer)).toBe('nocreds-pods')
    else {
      const { metadata } = answer.body as AttackPod
      expect(metadata['annotations']).toEqual({ 'nocreds.dev/inject': 'false' })
    }
  })

  test('admitted: opted out with nothing of nocreds, and tokens for others', async () => {
    expectAdmitted(await create(place, podOf({}, OPTED_OUT)))
    expectAdmitted(await create(place, podOf({ ...volume('mine', token('vault')) }, OPTED_OUT)))
  })
})

describe('in a namespace that is not enabled', () => {
  test.each(HAND_MADE.filter(([what]) => !what.includes('STS')))(
    'refused: %s',
    async (_what, spec) => {
      const answer = await create('tobe', podOf({ ...spec }))
      expect({ by: stopperOf(answer), ...answer }).toMatchObject({
        by: 'nocreds-reserved-names',
        status: 403,
      })
    },
  )
  test('admitted: any other pod', async () => {
    expectAdmitted(await create('tobe', podOf()))
  })
})

test.each(['apps/v1 deployments', 'batch/v1 jobs'])(
  'refused: the hand-made pod as template of %s',
  async (kind) => {
    const [api = '', resource = ''] = kind.split(' ')
    const initContainers = [{ ...named('nocreds-exchanger'), restartPolicy: 'Always' }]
    const { metadata, spec } = podOf(
      { initContainers, restartPolicy: resource === 'jobs' ? 'Never' : 'Always' },
      OPTED_OUT,
    )
    const labels = { app: 'template' }
    const template = { metadata: { ...metadata, labels, name: undefined }, spec }
    const selector = resource === 'jobs' ? {} : { selector: { matchLabels: labels } }
    const body = {
      apiVersion: api,
      kind: resource === 'jobs' ? 'Job' : 'Deployment',
      metadata: { name: 'template' },
      spec: { ...selector, template },
    }
    expectAdmitted(await send(ground, { api, place: 'team-a', resource, body, isReal: true }))
    const inNamespace = ['--namespace', ground.ns('team-a')]
    const owner = resource === 'jobs' ? 'Job' : 'ReplicaSet'
    const reason = `involvedObject.kind=${owner},reason=FailedCreate`
    const message = await waitFor('the event that says why no pod comes', 30_000, async () => {
      const { items } = await ground.kubectl.get<{
        readonly items: readonly { readonly message: string }[]
      }>(['events', '--field-selector', reason, ...inNamespace])
      return items[0]?.message
    })
    expect(message).toMatch(/pods\.nocreds\.dev|nocreds-reserved-names/)
  },
)

test('refused: the hand-made pod by server-side apply', async () => {
  const initContainers = [{ ...named('nocreds-exchanger'), restartPolicy: 'Always' }]
  const body = podOf({ initContainers }, OPTED_OUT)
  const answer = await send(ground, {
    as: DEV,
    place: 'unseen',
    resource: 'pods/case',
    type: 'apply',
    body,
  })
  // The apiserver names one of the policies that refuse.
  expect(stopperOf(answer)).toMatch(/^nocreds-(reserved-names|pods)$/)
})
