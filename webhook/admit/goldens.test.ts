import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { applyPatch } from 'rfc6902'
import { parseAllDocuments, stringify } from 'yaml'
import { SETTINGS } from '../../test/fakes/webhook-settings.ts'
import { decideByPodAlone, decidePod, type PodFacts, type Settings } from './decide-pod.ts'
import { podSchema } from './pod.ts'

/**
 * Each case is a file that `kubectl apply` takes: Namespace, ServiceAccount and Pod. Its `.want.yaml`
 * holds the verdict and the pod as it is after the patch, applied by an independent library.
 * A name with `by-kubelet` has the certificate source `pod-certificate`, one with `cluster-trust-bundle` about the flag,
 * one with `below-base` the flag `--base-role-arn`,
 * one with `driver-by-flag` the flag `--default-exchanger driver`, one with `of-a-cluster` those about the cluster.
 * `UPDATE_GOLDENS=1 npm test -- goldens` rewrites them; read the diff before you commit it.
 */
const FOLDER = join(import.meta.dirname, 'testdata')
const CASES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.pod.yaml'))
  .map((file) => file.slice(0, -'.pod.yaml'.length))

const OF_CLUSTER = {
  clusterArn: 'arn:aws:eks:eu-central-1:111122223333:cluster/one',
  clusterName: 'one',
}

interface Described {
  readonly kind: string
  readonly metadata?: { readonly name?: string; readonly annotations?: Record<string, string> }
}

function documents(file: string): Described[] {
  const text = readFileSync(join(FOLDER, file), 'utf8')
  return parseAllDocuments(text).map((document) => document.toJS() as Described)
}

/** As it goes over the wire. */
function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/** The facts, and the pod as it was sent, with fields that the schema does not know. */
interface Case extends PodFacts {
  readonly raw: unknown
  readonly settings: Settings
}

function factsOf(name: string): Case {
  const objects = documents(`${name}.pod.yaml`)
  const annotationsOf = (kind: string): Record<string, string> | undefined => {
    const found = objects.find((object) => object.kind === kind)
    return found === undefined ? undefined : (found.metadata?.annotations ?? {})
  }
  const raw = objects.find((object) => object.kind === 'Pod')
  return {
    raw,
    settings: {
      ...SETTINGS,
      ...(name.includes('by-kubelet') ? { certificateSource: 'pod-certificate' } : {}),
      ...(name.includes('cluster-trust-bundle') ? { trustBundle: 'cluster-trust-bundle' } : {}),
      ...(name.includes('of-a-cluster') ? OF_CLUSTER : {}),
      ...(name.includes('below-base') ? { baseRoleArn: 'arn:aws:iam::111122223333:role/' } : {}),
      ...(name.startsWith('driver-by-flag') ? { exchanger: 'driver' } : {}),
    },
    pod: podSchema.parse(raw),
    namespace: 'team-a',
    serviceAccountAnnotations: annotationsOf('ServiceAccount'),
    namespaceAnnotations: annotationsOf('Namespace'),
  }
}

function outcomeOf(facts: Case): { readonly verdict: object; readonly pod?: unknown } {
  const verdict = decideByPodAlone(facts.pod) ?? decidePod(facts, facts.settings)
  if (verdict.decision === 'denied') return { verdict }
  const pod = copy(facts.raw)
  const errors = applyPatch(pod, copy([...verdict.patch]))
  expect(errors.every((error) => error === null)).toBe(true)
  const { patch, ...said } = verdict
  return { verdict: { ...said, patched: patch.map(({ op, path }) => `${op} ${path}`) }, pod }
}

describe('admission goldens', () => {
  test('there are at least 30', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(30)
  })

  test.each(CASES)('%s', (name) => {
    const { verdict, pod } = outcomeOf(factsOf(name))
    const outcome = pod === undefined ? [verdict] : [verdict, pod]
    const file = join(FOLDER, `${name}.want.yaml`)
    if (process.env['UPDATE_GOLDENS'] === '1') {
      writeFileSync(
        file,
        outcome
          .map((one) => stringify(one, { lineWidth: 0, aliasDuplicateObjects: false }))
          .join('---\n'),
      )
    }
    expect(outcome).toEqual(documents(`${name}.want.yaml`))
  })

  test.each(CASES)('%s: a second pass yields no patch', (name) => {
    const facts = factsOf(name)
    const { pod } = outcomeOf(facts)
    if (pod === undefined) return
    const second = podSchema.parse(pod)
    const again = decideByPodAlone(second) ?? decidePod({ ...facts, pod: second }, facts.settings)
    expect(again).toMatchObject({ decision: 'unchanged', patch: [] })
  })
})
