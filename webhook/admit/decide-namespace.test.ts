import { describe, expect, test } from '@jest/globals'
import { decideNamespace } from './decide-namespace.ts'
import type { Namespace } from './pod.ts'

const EXPRESSION = 'nocreds.dev/permitted-roles'
const NAMES = 'nocreds.dev/permitted-dns-names'
const LABEL = 'nocreds.dev/injection'

function namespace(
  annotations?: Record<string, string>,
  labels?: Record<string, string>,
): Namespace {
  return { metadata: { name: 'team-a', annotations, labels } }
}

const decide = (now: Namespace, before?: Namespace): ReturnType<typeof decideNamespace> =>
  decideNamespace({ namespace: now, before })

describe('decideNamespace', () => {
  test('the label follows the annotation', () => {
    expect(decide(namespace({ [EXPRESSION]: '.*' }))).toMatchObject({
      reason: 'label-added',
      patch: [{ path: '/metadata/labels', value: { [LABEL]: 'enabled' } }],
    })
    expect(decide(namespace({ [EXPRESSION]: '.*' }, { team: 'a' }))).toMatchObject({
      patch: [{ op: 'add', path: '/metadata/labels/nocreds.dev~1injection', value: 'enabled' }],
    })
    expect(decide(namespace({ [EXPRESSION]: '.*' }, { [LABEL]: 'disabled' }))).toMatchObject({
      patch: [{ op: 'replace', path: '/metadata/labels/nocreds.dev~1injection' }],
    })
    expect(decide(namespace({ [EXPRESSION]: '.*' }, { [LABEL]: 'enabled' }))).toMatchObject({
      reason: 'in-step',
      patch: [],
    })
  })

  test.each([undefined, {}, { [EXPRESSION]: '' }, { [EXPRESSION]: '  ' }])(
    'no label where no role can be permitted: %j',
    (annotations) => {
      expect(decide(namespace(annotations, { [LABEL]: 'enabled' }))).toMatchObject({
        reason: 'label-removed',
        patch: [{ op: 'remove', path: '/metadata/labels/nocreds.dev~1injection' }],
      })
      expect(decide(namespace(annotations))).toMatchObject({ reason: 'in-step', patch: [] })
    },
  )

  test.each([{ [NAMES]: '' }, { [NAMES]: 'x' }, { [NAMES]: '', [EXPRESSION]: '' }])(
    'the label where names of certificates are spoken of, even by an empty expression: %j',
    (annotations) => {
      expect(decide(namespace(annotations))).toMatchObject({ reason: 'label-added' })
      expect(decide(namespace(annotations, { [LABEL]: 'enabled' }))).toMatchObject({
        reason: 'in-step',
      })
      expect(decide(namespace({}, { [LABEL]: 'enabled' }), namespace(annotations))).toMatchObject({
        reason: 'label-removed',
      })
    },
  )

  test('an expression for names that RE2 refuses is denied', () => {
    expect(decide(namespace({ [EXPRESSION]: '.*', [NAMES]: '(' }))).toMatchObject({
      decision: 'denied',
      reason: 'invalid-expression',
      message: expect.stringContaining(`annotation ${NAMES} is "("`),
    })
  })

  test('an expression that RE2 refuses is denied, by name and value', () => {
    expect(decide(namespace({ [EXPRESSION]: '(' }))).toMatchObject({
      decision: 'denied',
      reason: 'invalid-expression',
      message: expect.stringContaining(`annotation ${EXPRESSION} is "("`),
    })
  })

  test('an unknown annotation is denied', () => {
    expect(decide(namespace({ 'nocreds.dev/permitted-role': '.*' }))).toMatchObject({
      decision: 'denied',
      reason: 'invalid-annotation',
    })
  })

  test('an update that leaves our annotations alone is never denied', () => {
    const broken = namespace({ [EXPRESSION]: '(' }, { [LABEL]: 'enabled' })
    const relabelled = namespace({ [EXPRESSION]: '(', team: 'a' }, { [LABEL]: 'enabled', x: 'y' })
    expect(decide(relabelled, broken)).toMatchObject({ decision: 'unchanged', reason: 'in-step' })
    expect(decide(broken, namespace())).toMatchObject({ decision: 'denied' })
  })
})
