import { describe, expect, test } from '@jest/globals'
import { applyPatch, type Operation } from 'rfc6902'
import { CLUSTER, podReview } from '../../test/fakes/webhook-answers.ts'
import { SETTINGS } from '../../test/fakes/webhook-settings.ts'
import type { Verdict } from '../admit/verdict.ts'
import type { Annotated, ClusterReader } from '../cluster/types.ts'
import { reviewPod } from './review-pod.ts'
import type { AdmissionRequest } from './review.ts'

const account = (role: string): Annotated => ({ annotations: { 'nocreds.dev/role-arn': role } })
const NOW = 'arn:aws:iam::111122223333:role/now'
const FORMER = 'arn:aws:iam::111122223333:role/former'

/** A cluster whose memory may lag; `asked`: how often it was asked what holds now. */
function lagging(remembered: string): { cluster: ClusterReader; asked: () => number } {
  let asked = 0
  const cluster: ClusterReader = {
    ...CLUSTER,
    namespace: () => ({ annotations: { 'nocreds.dev/permitted-roles': '.+' } }),
    rememberedAccount: () => account(remembered),
    serviceAccount() {
      asked += 1
      return Promise.resolve(account(NOW))
    },
  }
  return { cluster, asked: () => asked }
}

const { request: REQUEST } = podReview() as { request: AdmissionRequest }

async function review(object: unknown, cluster: ClusterReader): Promise<Verdict> {
  return (await reviewPod({ ...REQUEST, object }, cluster, SETTINGS)).verdict
}

/** The pod as it is after a first pass. */
async function injected(role: string): Promise<unknown> {
  const cluster = { ...lagging(role).cluster, serviceAccount: () => account(role) }
  const verdict = await review(REQUEST.object, cluster)
  const pod = structuredClone(REQUEST.object)
  const patch = 'patch' in verdict ? (verdict.patch as Operation[]) : []
  expect(applyPatch(pod, patch).every((problem) => problem === null)).toBe(true)
  return pod
}

describe('the apiserver is called for the current state', () => {
  test('for a pod that comes for the first time, whatever is remembered', async () => {
    const { cluster, asked } = lagging(FORMER)
    expect(await review(REQUEST.object, cluster)).toMatchObject({ reason: 'injected', role: NOW })
    expect(asked()).toBe(1)
  })

  test('not for one that has all of what is remembered already, as in a second pass', async () => {
    const { cluster, asked } = lagging(NOW)
    const verdict = await review(await injected(NOW), cluster)
    expect(verdict).toMatchObject({ reason: 'already-injected', role: NOW })
    expect(asked()).toBe(0)
  })

  test('for one that has something else than what is remembered', async () => {
    const { cluster, asked } = lagging(FORMER)
    const verdict = await review(await injected(NOW), cluster)
    expect(verdict).toMatchObject({ reason: 'already-injected', role: NOW })
    expect(asked()).toBe(1)
  })
})
