/** A pod that is created right after its ServiceAccount was changed: it has the role that stands there now. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { INJECTED_ROLE } from '../../contract/names.ts'
import { openHarness, type Harness } from './harness.ts'
import { createPod, createTeam, pod, type Pod } from './objects.ts'

const CHANGES = 200
const ACCOUNT = '/api/v1/namespaces/changing/serviceaccounts/app'

let harness: Harness

beforeAll(async () => {
  harness = await openHarness()
  await createTeam(harness.api, 'changing', 'arn:aws:iam::111122223333:role/team/.+')
}, 60_000)

afterAll(() => harness.stop(), 60_000)

test(`of ${CHANGES} pods, each created at once after a change, none has the former role`, async () => {
  const former: string[] = []
  for (let n = 0; n < CHANGES; n += 1) {
    const role = `arn:aws:iam::111122223333:role/team/app-${n}`
    const changed = await harness.api({
      method: 'PATCH',
      path: ACCOUNT,
      body: { metadata: { annotations: { 'nocreds.dev/role-arn': role } } },
      contentType: 'application/merge-patch+json',
    })
    expect(changed.status).toBe(200)
    const { status, body } = await createPod(harness.api, 'changing', pod('app'))
    expect(status).toBe(201)
    const injected = (body as Pod).metadata.annotations?.[INJECTED_ROLE]
    if (injected !== role) former.push(`${n}: ${injected ?? 'none'}`)
  }
  expect(former).toEqual([])
}, 180_000)
