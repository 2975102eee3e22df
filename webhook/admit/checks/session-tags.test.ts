import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sessionTags, TAG_LIMITS } from '../../../contract/session-tags.ts'
import { SETTINGS } from '../../../test/fakes/webhook-settings.ts'
import { decidePod } from '../decide-pod.ts'
import { podSchema } from '../pod.ts'
import type { Verdict } from '../verdict.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'

interface Tagged {
  readonly tags: string
  /** Of the Namespace. */
  readonly permitted?: string
  readonly namespace?: string
  readonly metadata?: object
}

/** The verdict about a pod with a target role and these tags. */
function decide({ tags, permitted, namespace = 'team-a', metadata }: Tagged): Verdict {
  const pod = podSchema.parse({
    metadata: metadata ?? { name: 'app' },
    spec: { serviceAccountName: 'app', containers: [{ name: 'app' }] },
  })
  const facts = {
    pod,
    namespace,
    serviceAccountAnnotations: {
      'nocreds.dev/role-arn': ROLE,
      'nocreds.dev/target-role-arn': ROLE,
      'nocreds.dev/session-tags': tags,
    },
    namespaceAnnotations: {
      'nocreds.dev/permitted-roles': ROLE,
      ...(permitted === undefined ? {} : { 'nocreds.dev/permitted-session-tags': permitted }),
    },
  }
  return decidePod(facts, SETTINGS)
}

describe('permitted session tags', () => {
  test.each([
    ['the whole tag', 'team=a', 'team=a'],
    ['an alternation, anchored as one', 'team=a', 'x|team=a'],
    ['with white space around the expression', 'team=a', '\n  team=a\t'],
    ['the namespace filled in', 'ns={namespace}', 'ns=team-a'],
    ['the ServiceAccount filled in', 'sa={serviceaccount}', 'sa=app'],
    ['the pod not filled in', 'pod={pod}', 'pod=[{]pod[}]'],
  ])('permitted: %s', (_, tags, permitted) => {
    expect(decide({ tags, permitted }).decision).toBe('mutated')
  })

  test.each([
    ['nothing is permitted', 'team=a', undefined],
    ['only the key is', 'team=a', 'team'],
    ['it begins as a permitted one', 'team=ab', 'team=a'],
    ['it ends as a permitted one', 'my-team=a', 'team=a'],
    ['one of several is not', 'team=a,team2=b', 'team=.+'],
    ['the expression looks for what is filled in later', 'pod={pod}', 'pod=app'],
    ['the expression is valid only between anchors', 'team=a', 'x)|(.*'],
    ['the expression matches the empty text', 'team=a', '(team=a)?'],
  ])('denied, as %s', (_, tags, permitted) => {
    expect(decide({ tags, permitted: permitted as string })).toMatchObject({
      decision: 'denied',
      reason: 'session-tag-not-permitted',
      role: ROLE,
      message: expect.stringContaining('an administrator of the Namespace can change that'),
    })
  })
})

describe('the length of session tags once everything is filled in', () => {
  const longest = { name: 'p'.repeat(253) }

  test('is judged with the name of the pod, or the longest that may be generated', () => {
    const of = (characters: number, metadata: object): Verdict =>
      decide({ tags: `k=${'a'.repeat(characters)}{pod}`, permitted: '.+', metadata })
    expect(of(3, longest).decision).toBe('mutated')
    expect(of(4, longest)).toMatchObject({
      reason: 'session-tag-too-long',
      message: expect.stringContaining('is 1 characters too long; allowed: 256 characters'),
    })
    const generated = { generateName: 'p'.repeat(100) } // cut to 58, then 5 more
    expect(of(TAG_LIMITS.value - 63, generated).decision).toBe('mutated')
    expect(of(TAG_LIMITS.value - 62, generated)).toMatchObject({ reason: 'session-tag-too-long' })
  })

  test('all together they fit what the exchanger takes', () => {
    const namespace = 'n'.repeat(63)
    const tags = Array.from({ length: 40 }, (_, index) => `k${index}={namespace}{namespace}`)
    expect(decide({ tags: tags.join(','), permitted: '.+', namespace })).toMatchObject({
      decision: 'denied',
      reason: 'session-tag-too-long',
      message: expect.stringContaining('all tags together are'),
    })
  })

  test('whatever is admitted, the exchanger can read', () => {
    const piece = fc.constantFrom('a', 'ä', '{namespace}', '{serviceaccount}', '{pod}', '=', ' x')
    const value = fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(''))
    const anyTags = fc
      .array(value, { minLength: 1, maxLength: TAG_LIMITS.tags })
      .map((all) => all.map((one, index) => `k${index}=${one}`).join(','))
    const anyNamespace = fc.constantFrom('a', 'n'.repeat(63))
    fc.assert(
      fc.property(anyTags, anyNamespace, (tags, namespace) => {
        const verdict = decide({ tags, permitted: '.+', namespace, metadata: longest })
        if (verdict.decision === 'denied') return
        const written = JSON.stringify(verdict.patch)
        const told = /"NOCREDS_SESSION_TAGS","value":"([^"]*)"/.exec(written)?.[1] ?? ''
        const read = sessionTags.parse(told)
        expect(read).toBeDefined()
        expect(told).not.toMatch(/[{](namespace|serviceaccount)[}]/)
      }),
    )
  })
})
