import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import * as z from 'zod'
import { anyPod } from '../../test/fakes/arbitrary-pod.ts'
import { checkInPlace } from './check-in-place.ts'
import { checkPod, podSchema } from './pod.ts'

type Path = readonly (string | number)[]

/** Every place in a value, the value itself included. */
function placesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const inner = Object.entries(value).flatMap(([key, one]) => placesOf(one, [...path, key]))
  return [path, ...inner]
}

function replaceAt(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by
  const copy: Record<string, unknown> = Array.isArray(value)
    ? ([...(value as unknown[])] as unknown as Record<string, unknown>)
    : { ...(value as object) }
  copy[key] = replaceAt(copy[key], rest, by)
  return copy
}

const hostile = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(null, '', 0, false, [], {}, [null], [{}], { name: 1 }, { name: 'a' }),
)

describe('checkInPlace', () => {
  test('takes and refuses what zod takes and refuses, one place of a pod being anything', () => {
    const damaged = fc.tuple(anyPod, fc.nat(), hostile).map(([pod, at, by]) => {
      const places = placesOf(pod)
      return replaceAt(pod, places[at % places.length] ?? [], by)
    })
    let refused = 0
    fc.assert(
      fc.property(damaged, (pod) => {
        const checked = checkPod(pod)
        expect(checked.success).toBe(podSchema.safeParse(pod).success)
        if (!checked.success) refused += 1
      }),
      { numRuns: 1000 },
    )
    expect(refused).toBeGreaterThan(100)
    expect(refused).toBeLessThan(1000)
  })

  test('returns the same object, or an error with the path that does not match', () => {
    const pod = { metadata: {}, spec: { containers: [{ name: 'a' }] } }
    expect(checkPod(pod).data).toBe(pod)
    const without = { metadata: {}, spec: { containers: [{}] } }
    expect(checkPod(without).error?.issues[0]?.path).toEqual(['spec', 'containers', 0, 'name'])
  })

  test.each([
    ['a missing field of any kind', { text: 'a', kind: 'x' }],
    ['text that is too short', { text: '', kind: 'x', any: 1 }],
    ['another word', { text: 'a', kind: 'z', any: 1 }],
  ])('refuses as zod does: %s', (_what, value) => {
    const schema = z.looseObject({
      text: z.string().min(1),
      kind: z.enum(['x', 'y']),
      any: z.unknown(),
    })
    expect(schema.safeParse(value).success).toBe(false)
    expect(checkInPlace(schema)(value).success).toBe(false)
    expect(checkInPlace(schema)({ text: 'a', kind: 'y', any: null }).success).toBe(true)
  })

  test.each([
    ['strict objects', z.strictObject({})],
    ['numbers', z.looseObject({ a: z.number() })],
    ['texts with a pattern', z.string().regex(/a/)],
    ['changes', z.string().transform((text) => text.length)],
  ])('is not for %s', (_what, schema) => {
    expect(() => checkInPlace<unknown>(schema)).toThrow('cannot be checked in place')
  })
})
