import { expect, test } from '@jest/globals'
import { applyPatch } from 'rfc6902'
import { objectOf, readCases, type GuardCase } from '../e2e/support/guard-cases.ts'
import { SETTINGS } from '../test/fakes/webhook-settings.ts'
import { decidePod } from '../webhook/admit/decide-pod.ts'
import { podSchema, type Pod } from '../webhook/admit/pod.ts'

/**
 * The cases of the guard about the sidecar, sent through the webhook as on a later pass: what the guard refuses is repaired
 * or denied, never left; what it admits is never denied.
 */
const ROLE = 'arn:aws:iam::111122223333:role/team-a/app'
const WRITTEN = podSchema.parse(objectOf({ from: 'process' }))
const CASES = readCases('exchangers').filter(
  ({ from, settings, namespace, pod }) =>
    from === 'process' && settings === undefined && namespace === undefined && pod === undefined,
)

/** The pod after the webhook; undefined if it denies it. */
function afterWebhook(raw: unknown): Pod | undefined {
  const facts = {
    pod: podSchema.parse(raw),
    namespace: 'team-a',
    serviceAccountAnnotations: { 'nocreds.dev/role-arn': ROLE },
    namespaceAnnotations: { 'nocreds.dev/permitted-roles': ROLE },
  }
  const verdict = decidePod(facts, SETTINGS)
  if (verdict.decision === 'denied') return undefined
  const pod = copy(raw)
  expect(applyPatch(pod, copy([...verdict.patch])).every((one) => one === null)).toBe(true)
  return podSchema.parse(pod)
}

/** Of Jest's realm, as which alone rfc6902 knows arrays. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** The sidecar, whatever the order of its variables and mounts. */
function exchangerOf({ spec }: Pod): unknown {
  const found = spec.initContainers?.find(({ name }) => name === 'nocreds-exchanger')
  const env = new Map(found?.env?.map((one) => [one.name, one]))
  const volumeMounts = new Map(found?.volumeMounts?.map((one) => [one.mountPath, one]))
  expect([env.size, volumeMounts.size]).toEqual([found?.env?.length, found?.volumeMounts?.length])
  return { ...found, env, volumeMounts }
}

test('an unchanged pod has nothing to repair', () => {
  expect(afterWebhook(WRITTEN)).toEqual(WRITTEN)
  expect(CASES.length).toBeGreaterThan(120)
})

const named = (verdict: 'allowed' | 'denied'): (readonly [string, GuardCase])[] =>
  CASES.filter((one) => one.verdict === verdict).map((one) => [one.name, one])

test.each(named('denied'))('refused by the guard, repaired or denied here: %s', (_, one) => {
  const pod = afterWebhook(objectOf(one))
  if (pod === undefined) return
  expect(exchangerOf(pod)).toEqual(exchangerOf(WRITTEN))
  expect(pod.spec.volumes).toEqual(expect.arrayContaining(WRITTEN.spec.volumes ?? []))
})

test.each(named('allowed'))('admitted by the guard, and not denied here: %s', (_, one) => {
  expect(afterWebhook(objectOf(one))).toBeDefined()
})
