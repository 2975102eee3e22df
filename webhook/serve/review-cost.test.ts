import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import { podReview } from '../../test/fakes/webhook-answers.ts'
import { memoryOfJson } from './review-cost.ts'

const MIB = 1024 * 1024

/** Bytes of heap that the parsed text takes. */
function measured(text: string): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  const parsed: unknown = JSON.parse(text)
  collect()
  const taken = process.memoryUsage().heapUsed - before
  expect(parsed).toBeDefined()
  return taken
}

const listOf = (value: string, bytes: number): string =>
  `[${Array(Math.floor(bytes / (value.length + 1)))
    .fill(value)
    .join(',')}]`

describe('what a review takes in memory', () => {
  test.each([
    ['numbers', listOf('0', 780_000)],
    ['objects', listOf('{}', 590_000)],
    ['lists', listOf('[]', 590_000)],
    ['lists in lists', listOf('[[0]]', 590_000)],
    ['texts', listOf('"ab"', 1_900_000)],
    ['one long text', `"${'x'.repeat(8 * MIB)}"`],
    [
      'an object of many keys',
      `{${Array.from({ length: 390_000 }, (_, n) => `"k${n}":0`).join(',')}}`,
    ],
    [
      'objects of other keys each',
      `[${Array.from({ length: 190_000 }, (_, n) => `{"k${n}":0}`).join(',')}]`,
    ],
  ])('is never more than it is charged with: %s', (_what, text) => {
    const memory = memoryOfJson(Buffer.from(text))
    expect(memory).toBeDefined()
    expect(measured(text)).toBeLessThanOrEqual(memory ?? 0)
  })

  test('is bounded: a text of too many values is refused, however short', () => {
    expect(memoryOfJson(Buffer.from(listOf('{}', 3 * MIB)))).toBeUndefined()
    expect(memoryOfJson(Buffer.from(listOf('0', 900_000)))).toBeUndefined()
    expect(memoryOfJson(Buffer.alloc(8 * MIB, ' '))).toBe(8 * MIB)
  })

  test('of a pod as large as etcd takes is within the bound', () => {
    const env = Array.from({ length: 15_000 }, (_, n) => ({
      name: `VARIABLE_${n}`,
      value: `https://service-${n}.example.com:8443/path`,
    }))
    const review = podReview(
      'u',
      {},
      {
        object: { metadata: {}, spec: { containers: [{ name: 'app', image: 'x', env }] } },
      },
    )
    const text = Buffer.from(JSON.stringify(review))
    expect(text.length).toBeGreaterThan(MIB)
    expect(memoryOfJson(text)).toBeLessThan(46 * MIB)
  })

  test('of a pod of 30,000 mounts, each once more in its managedFields, is within the bound', () => {
    const volumeMounts = Array.from({ length: 30_000 }, (_, n) => ({
      name: 'data',
      mountPath: `/srv/data/${n}`,
    }))
    const managed = Object.fromEntries(
      volumeMounts.map(({ mountPath }) => [
        `k:{"mountPath":"${mountPath}"}`,
        { '.': {}, 'f:mountPath': {}, 'f:name': {} },
      ]),
    )
    const metadata = { managedFields: [{ fieldsV1: managed }] }
    const spec = { containers: [{ name: 'app', image: 'x', volumeMounts }] }
    const text = Buffer.from(JSON.stringify(podReview('u', { metadata, spec })))
    expect(text.length).toBeGreaterThan(3 * MIB)
    expect(memoryOfJson(text)).toBeLessThan(46 * MIB)
  })

  test('of an ordinary one is small enough for hundreds to wait', () => {
    expect(memoryOfJson(Buffer.from(JSON.stringify(podReview())))).toBeLessThan(64 * 1024)
  })
})
