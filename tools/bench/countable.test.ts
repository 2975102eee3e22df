/** What makes admission slow or large and can be counted without a clock. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { recordedDeps } from '../../test/fakes/webhook-answers.ts'
import { SETTINGS } from '../../test/fakes/webhook-settings.ts'
import { decidePod } from '../../webhook/admit/decide-pod.ts'
import { checkPod } from '../../webhook/admit/pod.ts'
import { answerReview } from '../../webhook/serve/answer.ts'
import { bundlePrograms } from '../build/programs.ts'
import { growingPod } from './growing-pod.ts'
import { NAMESPACE, podReview, ROLE, SERVICE_ACCOUNT } from './pod-review.ts'

const folders: string[] = []
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

const CLUSTER = {
  serviceAccount: () => ({ annotations: { 'nocreds.dev/role-arn': ROLE } }),
  namespace: () => ({ annotations: { 'nocreds.dev/permitted-roles': ROLE } }),
  ready: true,
  counts: () => ({ ServiceAccount: 1, Namespace: 1 }),
}

function patchOf(pod: unknown): readonly { readonly op: string; readonly path: string }[] {
  const checked = checkPod(pod)
  if (!checked.success) throw checked.error
  const facts = {
    pod: checked.data,
    namespace: NAMESPACE,
    serviceAccountAnnotations: CLUSTER.serviceAccount().annotations,
    namespaceAnnotations: CLUSTER.namespace().annotations,
  }
  const verdict = decidePod(facts, SETTINGS)
  if (verdict.decision !== 'mutated') throw new Error(`the pod was ${verdict.decision}`)
  return verdict.patch
}

describe('the patch', () => {
  test('has four operations for the pod and four for each container, all of them additions', () => {
    for (const containers of [1, 2, 10, 100]) {
      const patch = patchOf(JSON.parse(JSON.stringify(growingPod(containers, 0, SERVICE_ACCOUNT))))
      expect(patch).toHaveLength(4 + 4 * containers)
      expect(patch.every(({ op }) => op === 'add')).toBe(true)
    }
  })

  test('does not grow with what the pod already has', () => {
    const bytes = (paddingBytes: number): number =>
      JSON.stringify(patchOf(growingPod(3, paddingBytes, SERVICE_ACCOUNT))).length
    expect(bytes(100_000)).toBe(bytes(10))
  })
})

describe('a review', () => {
  const body = Buffer.from(JSON.stringify(podReview()))

  test('of 5.9 kB is what is measured', () => {
    expect(Math.round(body.length / 100)).toBe(59)
  })

  test('that is decided from the cache starts no timer', async () => {
    const clock = new VirtualClock()
    const after: number[] = []
    const watched = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delayMs: number, action: () => void) => {
        after.push(delayMs)
        return clock.after(delayMs, action)
      },
    }
    const asked = { body, resource: 'pods', deadlineMs: 4000 } as const
    await answerReview(asked, recordedDeps(CLUSTER, watched).deps)
    expect(after).toEqual([])
    const asking = { ...CLUSTER, namespace: () => Promise.resolve(CLUSTER.namespace()) }
    await answerReview(asked, recordedDeps(asking, watched).deps)
    expect(after).toEqual([4000])
    expect(clock.pending).toBe(0)
  })
})

describe('webhook.mjs', () => {
  test('has at most 4 MB of the 12 MB that the image may add', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nocreds-countable-'))
    folders.push(folder)
    const [bundle] = await bundlePrograms(folder, ['webhook.mjs'])
    expect(bundle?.bytes).toBeLessThan(4e6)
    expect(bundle?.bytes).toBeGreaterThan(1e5)
  })
})
