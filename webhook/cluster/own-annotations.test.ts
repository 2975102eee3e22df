import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AnnotationError, ANNOTATIONS, readAnnotations } from '../../contract/annotations.ts'
import { PREFIX } from '../../contract/names.ts'
import { permission } from '../../shared/server/permission.ts'
import { keepOwnAnnotations, sizeOf } from './own-annotations.ts'

const KEYS = Object.keys(ANNOTATIONS.ServiceAccount)

function outcome(annotations: Record<string, string>): string {
  try {
    return JSON.stringify(readAnnotations('ServiceAccount', 'a/b', annotations))
  } catch (error) {
    if (!(error instanceof AnnotationError)) throw error
    return error.message
  }
}

describe('what is kept of the annotations', () => {
  test('leads to the same verdict, in the same words, whatever a tenant writes', () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.constantFrom('true', 'process', '3600', 'web.team-a.svc', ',', ' ', '{namespace}'),
    )
    const value = fc
      .tuple(piece, piece, fc.constantFrom(0, 1, 100, 16_384, 20_000), piece)
      .map(([head, filler, times, tail]) => head + filler.repeat(times) + tail)
      .filter((text) => text.length < 250_000)
    const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ maxLength: 5 }))
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, value), { selector: ([k]) => k }), (entries) => {
        const annotations = Object.fromEntries(entries.map(([k, text]) => [PREFIX + k, text]))
        // A value that is in bounds by blanks alone, which count for a list, is out of bounds now.
        fc.pre(entries.every(([k, text]) => text.length <= 16_384 || !isListInBounds(k, text)))
        expect(outcome({ ...keepOwnAnnotations(annotations).annotations })).toBe(
          outcome(annotations),
        )
      }),
    )
  })

  test('is small', () => {
    const huge = 'x'.repeat(250_000)
    const all = Object.fromEntries(KEYS.map((key) => [PREFIX + key, huge]))
    const many = Object.fromEntries(
      Array.from({ length: 5000 }, (_, n) => [`${PREFIX}made-up-${n}`, 'x'.repeat(40)]),
    )
    expect(sizeOf(keepOwnAnnotations(all))).toBeLessThan(KEYS.length * 600)
    expect(sizeOf(keepOwnAnnotations(many))).toBeLessThan(1000)
    expect(keepOwnAnnotations({ 'example.com/other': huge })).toEqual({ annotations: {} })
  })

  test('does not hold the text that it was cut from', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const heapUsed = (): number => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const kept: unknown[] = []
    const before = heapUsed()
    for (let n = 0; n < 400; n += 1) {
      const text = Buffer.alloc(250_000, 97 + (n % 26)).toString('latin1')
      kept.push(
        keepOwnAnnotations({ [`${PREFIX}role-arn`]: text, [`${PREFIX}permitted-roles`]: text }),
      )
    }
    // 400 texts are 95 MiB; what is kept of them 400 × 17 KiB.
    expect(heapUsed() - before).toBeLessThan(20 * 1024 * 1024)
    expect(kept).toHaveLength(400)
  })

  test.each(['permitted-roles', 'permitted-dns-names', 'permitted-session-tags'])(
    '%s stays what it means',
    (key) => {
      const kept = (text: string): string =>
        keepOwnAnnotations({ [PREFIX + key]: text }).annotations[PREFIX + key] ?? ''
      const padded = `${' '.repeat(20_000)}a|b${' '.repeat(20_000)}`
      expect(kept(padded)).toBe('a|b')
      const long = `${'a|'.repeat(20_000)}b`
      expect(permission(kept(long)).valid).toBe(false)
      expect(kept('a|b')).toBe('a|b')
    },
  )
})

function isListInBounds(key: string, text: string): boolean {
  const isList = ['certificate-dns-names', 'session-policy-arns'].includes(key)
  return isList && !outcome({ [PREFIX + key]: text }).includes('allowed')
}

describe("the annotation of EKS's own injector", () => {
  const eks = { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/x'.repeat(1000) }

  test('is known to exist, and takes no memory', () => {
    expect(keepOwnAnnotations(eks).annotations).toEqual({ 'eks.amazonaws.com/role-arn': '' })
    expect(keepOwnAnnotations({ ...eks })).toBe(keepOwnAnnotations(eks))
  })

  test('is kept beside those of nocreds', () => {
    expect(keepOwnAnnotations({ ...eks, 'nocreds.dev/delivery': 'process' }).annotations).toEqual({
      'eks.amazonaws.com/role-arn': '',
      'nocreds.dev/delivery': 'process',
    })
  })
})
