/**
 * The pod that the webhook writes, brought along by a developer with one thing changed (04, M5). Where webhook and
 * guard see it, a pod with a role, whose sidecar the webhook puts back; where only the guard does, one with a role and a
 * certificate by the sidecar, which it refuses.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  changed,
  expectAdmitted,
  goldenPod,
  hideFromWebhook,
  injectedPod,
  send,
  stopperOf,
  type AttackPod,
} from '../support/attack.ts'
import { closeGround, openGround, type Ground, type Place } from '../support/attackers.ts'
import {
  ADDED_BY_OTHERS,
  CHANGES_WITH_CERTIFICATE,
  NEIGHBOURS,
  OF_POD,
  OF_SIDECAR,
} from './sidecar-changes.ts'

let ground: Ground
let show: () => Promise<void>
const written: Partial<Record<Place, AttackPod>> = {}

beforeAll(async () => {
  ground = await openGround('sidecar')
  show = await hideFromWebhook(ground)
  written['team-a'] = await injectedPod(ground, 'team-a', { 'role-arn': ground.role })
  written.unseen = await goldenPod(ground, 'certificate-and-role')
}, 90_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

describe.each<[string, Place, RegExp]>([
  ['webhook and guard', 'team-a', /^(pods\.nocreds\.dev|nocreds-pods)$/],
  ['the guard alone', 'unseen', /^nocreds-pods$/],
])('before %s', (_, place, stopper) => {
  const pod = (): AttackPod => written[place]!
  const create = (body: object): ReturnType<typeof send> =>
    send(ground, { place, resource: 'pods', body })

  test('admitted: without a change, so that it is the change that is refused', async () => {
    expectAdmitted(await create(pod()))
  })
  const changes =
    place === 'unseen' ? { ...OF_POD, ...OF_SIDECAR, ...CHANGES_WITH_CERTIFICATE } : OF_POD
  test.each(Object.entries(changes))('refused: %s', async (_what, change) => {
    const answer = await create(changed(pod(), change(pod())))
    expect({ by: stopperOf(answer), message: answer.message, status: answer.status }).toEqual({
      by: expect.stringMatching(stopper),
      message: expect.any(String),
      status: 403,
    })
  })
  test.each(Object.entries({ ...NEIGHBOURS, ...ADDED_BY_OTHERS }))(
    'admitted: %s',
    async (_what, change) => {
      expectAdmitted(await create(changed(pod(), change(pod()))))
    },
  )
})

describe('if the webhook sees the change, it is undone', () => {
  test.each(Object.entries(OF_SIDECAR))('put back: %s', async (_what, change) => {
    const pod = written['team-a']!
    const body = changed(pod, change(pod))
    const answer = await send(ground, { place: 'team-a', resource: 'pods', body })
    expectAdmitted(answer)
    expect((answer.body as AttackPod).spec.initContainers).toEqual(pod.spec.initContainers)
  })
})
