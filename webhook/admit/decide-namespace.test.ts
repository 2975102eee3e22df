import { describe, expect, test } from '@jest/globals'
import { decideNamespace } from './decide-namespace.ts'
import type { Namespace } from './pod.ts'

const EXPRESSION = 'nocreds.dev/permitted-roles'
const NAMES = 'nocreds.dev/permitted-dns-names'
const DELIVERIES = 'nocreds.dev/permitted-deliveries'
const SESSION_NAMES = 'nocreds.dev/permitted-session-names'
const SESSION_TAGS = 'nocreds.dev/permitted-session-tags'
const DEFAULT_TAGS = 'nocreds.dev/default-session-tags'
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
  test('warns of an expression for a glob and of annotations of other injectors, whenever those of nocreds change', () => {
    const glob = { [EXPRESSION]: 'arn:aws:iam::111122223333:role/team-a/*' }
    const peers = { 'iam.amazonaws.com/permitted': '.*', 'iam.amazonaws.com/allowed-roles': '[]' }
    const before = namespace({ ...glob, ...peers })
    expect(decide(before)).toMatchObject({
      reason: 'label-added',
      warnings: [
        expect.stringContaining('as in a glob'),
        expect.stringContaining('iam.amazonaws.com/permitted, which nocreds does not read'),
        expect.stringContaining('iam.amazonaws.com/allowed-roles'),
      ],
    })
    expect(decide(before, before)).toMatchObject({ warnings: [] })
    expect(decide(namespace({ [EXPRESSION]: '.+' }))).toMatchObject({ warnings: [] })
  })

  test('warns of a default role that the Namespace does not permit', () => {
    const role = 'arn:aws:iam::111122223333:role/team-a/app'
    const withDefault = (permitted: Record<string, string>): ReturnType<typeof decide> =>
      decide(namespace({ 'nocreds.dev/default-role-arn': role, ...permitted }))
    expect(withDefault({ [EXPRESSION]: 'arn:aws:iam::[0-9]+:role/team-a/.+' })).toMatchObject({
      warnings: [],
    })
    for (const permitted of [{}, { [EXPRESSION]: 'arn:aws:iam::[0-9]+:role/team-b/.+' }])
      expect(withDefault(permitted)).toMatchObject({
        warnings: [expect.stringContaining('nocreds.dev/permitted-roles is')],
      })
    // Only the pod's webhook knows below which ARN a name is.
    expect(decide(namespace({ 'nocreds.dev/default-role-arn': 'app' }))).toMatchObject({
      warnings: [],
    })
    expect(decide(namespace({ 'nocreds.dev/default-role-arn': 'a b' }))).toMatchObject({
      reason: 'invalid-annotation',
    })
  })

  test('white space around an expression, as of a block scalar, is not of it', () => {
    const block = 'arn:aws:iam::111122223333:role/team-a/.*\n'
    expect(decide(namespace({ [EXPRESSION]: block }))).toMatchObject({
      reason: 'label-added',
      warnings: [],
    })
  })

  test('the label follows the annotation', () => {
    expect(decide(namespace({ [EXPRESSION]: '.+' }))).toMatchObject({
      reason: 'label-added',
      patch: [{ path: '/metadata/labels', value: { [LABEL]: 'enabled' } }],
    })
    expect(decide(namespace({ [EXPRESSION]: '.+' }, { team: 'a' }))).toMatchObject({
      patch: [{ op: 'add', path: '/metadata/labels/nocreds.dev~1injection', value: 'enabled' }],
    })
    expect(decide(namespace({ [EXPRESSION]: '.+' }, { [LABEL]: 'disabled' }))).toMatchObject({
      patch: [{ op: 'replace', path: '/metadata/labels/nocreds.dev~1injection' }],
    })
    expect(decide(namespace({ [EXPRESSION]: '.+' }, { [LABEL]: 'enabled' }))).toMatchObject({
      reason: 'up-to-date',
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
      expect(decide(namespace(annotations))).toMatchObject({ reason: 'up-to-date', patch: [] })
    },
  )

  test.each([{ [NAMES]: '' }, { [NAMES]: 'x' }, { [NAMES]: '', [EXPRESSION]: '' }])(
    'the label where names of certificates are spoken of, even by an empty expression: %j',
    (annotations) => {
      expect(decide(namespace(annotations))).toMatchObject({ reason: 'label-added' })
      expect(decide(namespace(annotations, { [LABEL]: 'enabled' }))).toMatchObject({
        reason: 'up-to-date',
      })
      expect(decide(namespace({}, { [LABEL]: 'enabled' }), namespace(annotations))).toMatchObject({
        reason: 'label-removed',
      })
    },
  )

  test('an expression for names that RE2 refuses is denied', () => {
    expect(decide(namespace({ [EXPRESSION]: '.+', [NAMES]: '(' }))).toMatchObject({
      decision: 'denied',
      reason: 'invalid-expression',
      message: expect.stringContaining(`annotation ${NAMES} is "("`),
    })
  })

  test.each([
    [EXPRESSION, '.*', 'role'],
    [EXPRESSION, ' |arn:aws:iam::111122223333:role/a', 'role'],
    [NAMES, '(?:a\\.example\\.com)?', 'name'],
    [SESSION_NAMES, '.*', 'session name'],
    [SESSION_TAGS, '(team=a)?', 'session tag'],
  ])('one that matches the empty text is denied if it is new: %s %j', (key, expression, what) => {
    const refused = {
      decision: 'denied',
      reason: 'invalid-expression',
      message: `Namespace team-a: annotation ${key} is ${JSON.stringify(expression)}; allowed: an RE2 expression, but it matches the empty text, which is not a ${what}; write .+ for every ${what}`,
    }
    const now = namespace({ [key]: expression })
    expect(decide(now)).toMatchObject(refused)
    expect(decide(now, namespace({}))).toMatchObject(refused)
    expect(decide(now, namespace({ [key]: '.+' }))).toMatchObject(refused)
  })

  test('an existing one that matches the empty text may stay', () => {
    const before = namespace({ [EXPRESSION]: '.*' }, { [LABEL]: 'enabled' })
    const now = namespace(
      { [EXPRESSION]: '.*', [DELIVERIES]: 'web-identity' },
      { [LABEL]: 'enabled' },
    )
    expect(decide(now, before)).toMatchObject({ decision: 'unchanged' })
    const other = namespace({ [EXPRESSION]: '.*', [NAMES]: '.*' }, { [LABEL]: 'enabled' })
    expect(decide(other, before)).toMatchObject({
      reason: 'invalid-expression',
      message: expect.stringContaining(NAMES),
    })
  })

  test('session tags may be permitted, and their defaults be switched off; neither of them enables the namespace', () => {
    for (const annotation of [
      { [SESSION_TAGS]: ' team=a|pod=[{]pod[}] ' },
      { [DEFAULT_TAGS]: 'false' },
      { [DEFAULT_TAGS]: 'true' },
    ]) {
      expect(decide(namespace(annotation))).toMatchObject({ reason: 'up-to-date' })
    }
  })

  test.each([
    [SESSION_TAGS, 'team=[', 'invalid-expression'],
    [SESSION_TAGS, 'a'.repeat(4097), 'invalid-expression'],
    [DEFAULT_TAGS, 'False', 'invalid-annotation'],
    [DEFAULT_TAGS, '', 'invalid-annotation'],
  ])('%s: %j is denied', (key, value, reason) => {
    expect(decide(namespace({ [key]: value }))).toMatchObject({
      decision: 'denied',
      reason,
      message: expect.stringContaining(`Namespace team-a: annotation ${key} is "`),
    })
  })

  test.each(['', 'process', ' process , web-identity ', 'endpoint,process,web-identity'])(
    'the deliveries %j may be permitted, and enable nothing by themselves',
    (deliveries) => {
      expect(decide(namespace({ [DELIVERIES]: deliveries }))).toMatchObject({
        reason: 'up-to-date',
      })
    },
  )

  test.each(['sidecar', 'process,web_identity', 'Process', 'process endpoint'])(
    'the deliveries %j are denied, with those that exist',
    (deliveries) => {
      expect(decide(namespace({ [DELIVERIES]: deliveries }))).toMatchObject({
        decision: 'denied',
        reason: 'invalid-annotation',
        message: `Namespace team-a: annotation ${DELIVERIES} is "${deliveries}"; allowed: deliveries separated by commas: process, endpoint, web-identity`,
      })
    },
  )

  test('an expression for session names that RE2 refuses is denied', () => {
    expect(decide(namespace({ [SESSION_NAMES]: '(' }))).toMatchObject({
      reason: 'invalid-expression',
      message: expect.stringContaining(`annotation ${SESSION_NAMES} is "("`),
    })
  })

  test('a long expression is denied, and not repeated whole', () => {
    const verdict = decide(namespace({ [EXPRESSION]: 'a'.repeat(4097) }))
    expect(verdict).toMatchObject({
      reason: 'invalid-expression',
      message: expect.stringContaining('it has 4097 characters; allowed: at most 4096'),
    })
    expect(JSON.stringify(verdict).length).toBeLessThan(600)
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

  test('an update that does not change annotations of nocreds is never denied', () => {
    const broken = namespace({ [EXPRESSION]: '(' }, { [LABEL]: 'enabled' })
    const relabelled = namespace({ [EXPRESSION]: '(', team: 'a' }, { [LABEL]: 'enabled', x: 'y' })
    expect(decide(relabelled, broken)).toMatchObject({
      decision: 'unchanged',
      reason: 'up-to-date',
    })
    expect(decide(broken, namespace())).toMatchObject({ decision: 'denied' })
  })
})
