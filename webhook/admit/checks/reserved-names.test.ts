import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { anyPod } from '../../../test/fakes/arbitrary-pod.ts'
import { SETTINGS } from '../../../test/fakes/webhook-settings.ts'
import { decideByPodAlone, decidePod } from '../decide-pod.ts'
import { RESERVED_VOLUME_NAMES } from '../inject/injection.ts'
import type { Pod } from '../pod.ts'
import type { Verdict } from '../verdict.ts'

const CONTAINER = { name: 'nocreds-exchanger', image: 'nocreds/exchanger:0.1.0' }
const reserved = fc.oneof(
  fc.constantFrom('containers', 'initContainers', 'ephemeralContainers').map((list) => ({
    list,
    item: CONTAINER,
  })),
  fc.constantFrom(...RESERVED_VOLUME_NAMES).map((name) => ({ list: 'volumes', item: { name } })),
  fc.constant({ list: 'volumes', item: { name: 'x', csi: { driver: 'csi.nocreds.dev' } } }),
)

/** The pod with one more element in a list of its spec, at any place of it. */
function withOne(pod: Pod, list: string, item: object, at: number): Pod {
  const before = (pod.spec[list] ?? []) as object[]
  const index = at % (before.length + 1)
  return { ...pod, spec: { ...pod.spec, [list]: before.toSpliced(index, 0, item) } }
}

function optedOut(pod: Pod): Pod {
  const annotations = { ...pod.metadata.annotations, 'nocreds.dev/inject': 'false' }
  return { ...pod, metadata: { ...pod.metadata, annotations } }
}

function decideWithoutRole(pod: Pod): Verdict {
  const facts = {
    pod,
    namespace: 'team-a',
    serviceAccountAnnotations: {},
    namespaceAnnotations: {},
  }
  return decideByPodAlone(pod) ?? decidePod(facts, SETTINGS)
}

describe('reserved names on a pod that gets nothing', () => {
  test('are denied in every list and at every position', () => {
    fc.assert(
      fc.property(anyPod, reserved, fc.nat(9), (pod, { list, item }, at) => {
        const bringing = withOne(pod, list, item, at)
        const denied = { decision: 'denied', reason: 'reserved-name', status: 403 }
        expect(decideWithoutRole(bringing)).toMatchObject(denied)
        expect(decideWithoutRole(optedOut(bringing))).toMatchObject(denied)
      }),
    )
  })

  test('every other pod passes unchanged', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const unchanged = { decision: 'unchanged', patch: [] }
        expect(decideWithoutRole(pod)).toMatchObject({ ...unchanged, reason: 'no-role' })
        expect(decideWithoutRole(optedOut(pod))).toMatchObject({
          ...unchanged,
          reason: 'opted-out',
        })
      }),
    )
  })

  test('a mirror pod runs already, whatever it brings', () => {
    fc.assert(
      fc.property(anyPod, reserved, (pod, { list, item }) => {
        const annotations = { 'kubernetes.io/config.mirror': 'x', 'nocreds.dev/inject': 'false' }
        const mirror = withOne(
          { ...pod, metadata: { ...pod.metadata, annotations } },
          list,
          item,
          0,
        )
        expect(decideWithoutRole(mirror)).toMatchObject({ reason: 'mirror-pod', patch: [] })
      }),
    )
  })
})
