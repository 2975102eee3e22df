import { expect, test } from '@jest/globals'
import { applyPatch } from 'rfc6902'
import type { Exchanger } from '../contract/exchangers.ts'
import { objectOf, readCases, type GuardCase } from '../e2e/support/guard-cases.ts'
import { SETTINGS } from '../test/fakes/webhook-settings.ts'
import { decidePod } from '../webhook/admit/decide-pod.ts'
import { RESERVED_VOLUME_NAMES } from '../webhook/admit/inject/injection.ts'
import { containersOf, podSchema, type Pod } from '../webhook/admit/pod.ts'

/**
 * The cases of the guard about the driver's volume, sent through the webhook as on a later pass: what the guard refuses is
 * restored or denied, never left; what it admits is never denied.
 */
const ROLE = 'arn:aws:iam::111122223333:role/team-a/app'
const WRITTEN = podSchema.parse(objectOf({ from: 'driver' }))
const CASES = readCases('driver-volumes').filter(
  ({ from, namespace }) => from === 'driver' && namespace === undefined,
)

/** Of Jest's realm, as which alone rfc6902 knows arrays. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** The pod after the webhook, in a namespace that this exchanger serves; undefined if it denies it. */
function afterWebhook(raw: unknown, exchanger: Exchanger = 'driver'): Pod | undefined {
  const facts = {
    pod: podSchema.parse(raw),
    namespace: 'team-a',
    serviceAccountAnnotations: {
      'nocreds.dev/role-arn': ROLE,
      'nocreds.dev/exchanger': exchanger,
    },
    namespaceAnnotations: { 'nocreds.dev/permitted-roles': ROLE },
  }
  const verdict = decidePod(facts, SETTINGS)
  if (verdict.decision === 'denied') return undefined
  const pod = copy(raw)
  expect(applyPatch(pod, copy([...verdict.patch])).every((one) => one === null)).toBe(true)
  return podSchema.parse(pod)
}

test('an unchanged pod has nothing to restore', () => {
  expect(afterWebhook(WRITTEN)).toEqual(WRITTEN)
  expect(CASES.length).toBeGreaterThan(20)
})

const named = (verdict: 'allowed' | 'denied'): (readonly [string, GuardCase])[] =>
  CASES.filter((one) => one.verdict === verdict).map((one) => [one.name, one])

test.each(named('denied'))('refused by the guard, restored or denied here: %s', (_, one) => {
  const pod = afterWebhook(objectOf(one))
  if (pod === undefined) return
  expect(pod.spec.volumes).toHaveLength(WRITTEN.spec.volumes?.length ?? 0)
  expect(pod.spec.volumes).toEqual(expect.arrayContaining(WRITTEN.spec.volumes ?? []))
  expect(pod.metadata.annotations).toEqual(WRITTEN.metadata.annotations)
})

test.each(named('allowed'))('admitted by the guard, and not denied here: %s', (_, one) => {
  expect(afterWebhook(objectOf(one))).toBeDefined()
})

/** Pods of a backup, whatever was changed in them before, where the other exchanger serves now. */
const OF_SIDECAR = readCases('exchangers').filter(
  ({ from, namespace, settings }) =>
    from === 'process' && namespace === undefined && settings === undefined,
)
const SIDECAR_POD = podSchema.parse(objectOf({ from: 'process' }))

/** What of the pod is nocreds', whatever its order. */
function partsOf(pod: Pod): unknown {
  return {
    container: containersOf(pod).filter(({ name }) => name === 'nocreds-exchanger'),
    volumes: new Map(
      pod.spec.volumes
        ?.filter(({ name, csi }) => RESERVED_VOLUME_NAMES.includes(name) || csi?.driver != null)
        .map((one) => [one.name, one]),
    ),
    mounts: containersOf(pod)
      .filter(({ name }) => name === 'app')
      .map(
        ({ volumeMounts }) =>
          new Map(
            volumeMounts
              ?.filter(({ name }) => RESERVED_VOLUME_NAMES.includes(name))
              .map((one) => [one.mountPath, one]),
          ),
      ),
    annotations: pod.metadata.annotations,
  }
}

test('a pod of the sidecar is converted to one of the driver, and back', () => {
  const converted = afterWebhook(SIDECAR_POD, 'driver')
  expect(partsOf(converted!)).toEqual(partsOf(WRITTEN))
  expect(partsOf(afterWebhook(converted, 'sidecar')!)).toEqual(partsOf(SIDECAR_POD))
  const isConverted = (one: GuardCase): boolean => afterWebhook(objectOf(one)) !== undefined
  expect(OF_SIDECAR.filter(isConverted).length).toBeGreaterThan(100)
})

test.each(OF_SIDECAR.map((one) => [one.name, one] as const))(
  'of the sidecar, converted or denied: %s',
  (_, one) => {
    const pod = afterWebhook(objectOf(one), 'driver')
    if (pod !== undefined) expect(partsOf(pod)).toEqual(partsOf(WRITTEN))
  },
)

test.each(CASES.map((one) => [one.name, one] as const))(
  'of the driver, converted or denied: %s',
  (_, one) => {
    const pod = afterWebhook(objectOf(one), 'sidecar')
    if (pod !== undefined) expect(partsOf(pod)).toEqual(partsOf(SIDECAR_POD))
  },
)
