import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { RE2JS } from 're2js'
import { applyPatch } from 'rfc6902'
import { parseAllDocuments } from 'yaml'
import { POLICY_LIMITS } from '../contract/session-policy.ts'
import { RESERVED_TAG_KEYS, TAG_LIMITS } from '../contract/session-tags.ts'
import { objectOf, readCaseObjects, readCases, type GuardCase } from '../e2e/support/guard-cases.ts'
import type { KubernetesObject } from '../e2e/support/kubernetes-object.ts'
import { REPOSITORY } from '../e2e/versions.ts'
import { SETTINGS } from '../test/fakes/webhook-settings.ts'
import { decidePod } from '../webhook/admit/decide-pod.ts'
import { podSchema, type Pod } from '../webhook/admit/pod.ts'
import type { Verdict } from '../webhook/admit/verdict.ts'
import { at, installed } from './manifests.test-data.ts'

/**
 * Target roles, session tags and policies: the guard's cases, sent through the webhook as on a later pass, and what the
 * webhook writes for arbitrary annotations, held against the patterns of the guard.
 */
type Annotations = Readonly<Record<string, string>>

/** Of Jest's realm, as which alone rfc6902 knows arrays. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

const annotationsOf = (objects: readonly KubernetesObject[], kind: string): Annotations =>
  (at(objects.find((one) => one.kind === kind)?.metadata, 'annotations') ?? {}) as Annotations

/** Annotations of the ServiceAccount for which the webhook wrote a pod of the cases. */
function accountOf(golden: string): Annotations {
  const file = join(REPOSITORY, 'webhook', 'admit', 'testdata', `${golden}.pod.yaml`)
  const documents = parseAllDocuments(readFileSync(file, 'utf8'))
  return annotationsOf(
    documents.map((one) => one.toJS() as KubernetesObject),
    'ServiceAccount',
  )
}

const TEAM_A = annotationsOf(
  readCaseObjects().filter(({ metadata }) => metadata.name === 'team-a'),
  'Namespace',
)

function decide(raw: unknown, account: Annotations, namespace: Annotations = TEAM_A): Verdict {
  const pod = podSchema.parse(raw)
  return decidePod(
    {
      pod,
      namespace: 'team-a',
      serviceAccountAnnotations: account,
      namespaceAnnotations: namespace,
    },
    SETTINGS,
  )
}

/** The pod after the webhook; undefined if it denies it. */
function afterWebhook(raw: unknown, account: Annotations, of?: Annotations): Pod | undefined {
  const verdict = decide(raw, account, of)
  if (verdict.decision === 'denied') return undefined
  const pod = copy(raw)
  expect(applyPatch(pod, copy([...verdict.patch])).every((one) => one === null)).toBe(true)
  return podSchema.parse(pod)
}

/** What an exchanger is told, whatever the order of the variables. */
function toldBy({ spec, metadata }: Pod): unknown {
  const exchanger = spec.initContainers?.find(({ name }) => name === 'nocreds-exchanger')
  const env = new Map(exchanger?.env?.map((one) => [one.name, one]))
  const volume = spec.volumes?.find(({ name }) => name === 'nocreds-driver')
  return { env, volume, annotations: metadata.annotations }
}

const GOLDENS = ['target-role', 'target-role-alone', 'driver-target-role'] as const
const CASES = readCases('sessions').filter(
  ({ from, settings, namespace }) =>
    GOLDENS.some((one) => one === from) && settings === undefined && namespace === undefined,
)

const goldenOf = ({ from }: GuardCase): string => from as (typeof GOLDENS)[number]

test('unchanged pods have nothing to restore', () => {
  expect(CASES.length).toBeGreaterThan(50)
  for (const golden of GOLDENS) {
    const written = podSchema.parse(objectOf({ from: golden }))
    expect(afterWebhook(written, accountOf(golden))).toEqual(written)
  }
})

const named = (verdict: 'allowed' | 'denied'): (readonly [string, GuardCase])[] =>
  CASES.filter((one) => one.verdict === verdict).map((one) => [one.name, one])

test.each(named('denied'))('refused by the guard, restored or denied here: %s', (_, one) => {
  const golden = goldenOf(one)
  const pod = afterWebhook(objectOf(one), accountOf(golden))
  if (pod === undefined) return
  expect(toldBy(pod)).toEqual(toldBy(podSchema.parse(objectOf({ from: one.from }))))
})

test.each(named('allowed'))('admitted by the guard, and not denied here: %s', (_, one) => {
  expect(afterWebhook(objectOf(one), accountOf(goldenOf(one)))).toBeDefined()
})

describe('what the webhook writes for arbitrary annotations', () => {
  const policy = JSON.stringify(installed('ValidatingAdmissionPolicy', 'nocreds-sessions'))
  /** The pattern that the guard matches a value with, by what stands before it; CEL's own escapes resolved. */
  const patternOf = (before: string): RE2JS => {
    const [, found = ''] = policy.split(`${before}.matches('`)
    const literal = JSON.parse(`"${found.slice(0, found.indexOf("')"))}"`) as string
    const pattern = literal
      .replaceAll('\\\\', '\\')
      .replace(/\\u([0-9a-f]{4})/g, (_, hex: string) => `\\x{${hex}}`)
    return RE2JS.compile(pattern)
  }
  const [tagPattern, idPattern, policyPattern, arnPattern, durationPattern] = [
    'tag',
    'id',
    'policy',
    'arn',
    'text',
  ].map(patternOf)

  const piece = fc.oneof(
    { weight: 40, arbitrary: fc.constantFrom('a', 'Ä', '7', '=', '.', ' ', '語') },
    { weight: 20, arbitrary: fc.constantFrom('{pod}', '{namespace}', '{serviceaccount}') },
    { weight: 1, arbitrary: fc.constantFrom('$', '*', '{', ',') },
  )
  const anyText = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
  const anyKey = fc.oneof(
    { weight: 40, arbitrary: fc.stringMatching(/^[\w.:/+@-][\w.:/+@ -]{1,8}$/) },
    { weight: 1, arbitrary: fc.constantFrom(...RESERVED_TAG_KEYS, 'AWS:x', 'Team', 'team') },
  )
  const anyTags = fc
    .array(fc.tuple(anyKey, anyText), { minLength: 1, maxLength: TAG_LIMITS.tags + 1 })
    .map((tags) => tags.map(([key, value]) => `${key}=${value}`).join(','))
  const anyArns = fc
    .uniqueArray(fc.stringMatching(/^[!-~]{1,4}$/), { maxLength: POLICY_LIMITS.arns + 1 })
    .map((names) => names.map((name) => `arn:aws:iam::aws:policy/${name}`).join('\n '))
  const anyAnnotations = fc.record(
    {
      'target-role-arn': fc
        .constantFrom('data', 'a=b,c', '$(HOME)/data', '$$/data')
        .map((name) => `arn:aws:iam::111122223333:role/team-a/${name}`),
      'external-id': fc.stringMatching(/^[\w+=,.@:/-]{1,1225}$/),
      'session-tags': anyTags,
      'session-policy': fc.oneof(
        fc.dictionary(anyText, anyText).map((policy) => JSON.stringify(policy, null, 1)),
        fc.constant('{"a":"${aws:username}"}'),
        fc.json(),
      ),
      'session-policy-arns': anyArns,
      'session-duration': fc.integer({ min: 1700, max: 4000 }).map(String),
      exchanger: fc.constantFrom('sidecar', 'driver'),
    },
    { requiredKeys: ['target-role-arn'] },
  )

  /** What the exchanger is told, by attribute; in a variable a dollar sign is doubled. */
  function told(pod: Pod): Readonly<Record<string, string>> {
    const exchanger = pod.spec.initContainers?.find(({ name }) => name === 'nocreds-exchanger')
    const volume = pod.spec.volumes?.find(({ name }) => name === 'nocreds-driver')
    if (exchanger === undefined)
      return at(volume, 'csi', 'volumeAttributes') as Record<string, string>
    return Object.fromEntries(
      (exchanger.env ?? []).map(({ name, value }) => {
        expect((value ?? '').replaceAll('$$', '')).not.toContain('$')
        const key = name.replace('NOCREDS_', '').toLowerCase().replaceAll('_', '-')
        return [key.replace('-seconds', ''), (value ?? '').replaceAll('$$', '$')]
      }),
    )
  }

  const matches = (pattern: RE2JS | undefined, text: string | undefined): void => {
    if (text !== undefined) expect([text, pattern?.matcher(text).find()]).toEqual([text, true])
  }

  /** What the guard has patterns for. */
  function expectMatches(values: Readonly<Record<string, string>>): void {
    matches(durationPattern, values['session-duration'])
    matches(idPattern, values['external-id'])
    matches(policyPattern, values['session-policy'])
    for (const arn of values['session-policy-arns']?.split(' ') ?? []) matches(arnPattern, arn)
    for (const tag of values['session-tags']?.split(',') ?? []) {
      matches(tagPattern, tag)
      expect(tag.trim()).toBe(tag)
    }
  }

  test('is what the guard admits', () => {
    const namespace = { ...TEAM_A, 'nocreds.dev/permitted-session-tags': '.+' }
    const raw = {
      metadata: { name: 'app' },
      spec: { serviceAccountName: 'app', containers: [{ name: 'app' }] },
    }
    const role = 'arn:aws:iam::111122223333:role/team-a/app'
    let admitted = 0
    fc.assert(
      fc.property(anyAnnotations, (annotations) => {
        const account = Object.fromEntries(
          Object.entries({ ...annotations, 'role-arn': role }).map(([key, value]) => [
            `nocreds.dev/${key}`,
            value,
          ]),
        )
        const pod = afterWebhook(raw, account, namespace)
        if (pod === undefined) return
        admitted += 1
        expect(pod.metadata.annotations?.['nocreds.dev/injected-roles']).toBe(
          `${role} ${annotations['target-role-arn']}`,
        )
        expectMatches(told(pod))
      }),
      { numRuns: 1000 },
    )
    expect(admitted).toBeGreaterThan(50)
  })
})
