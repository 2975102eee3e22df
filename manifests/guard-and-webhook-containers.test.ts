import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { applyPatch } from 'rfc6902'
import { parseAllDocuments } from 'yaml'
import { MAX_ROLES, slotOf } from '../contract/container-roles.ts'
import { CASE_FILES, objectOf, readCases, type GuardCase } from '../e2e/support/guard-cases.ts'
import type { KubernetesObject } from '../e2e/support/kubernetes-object.ts'
import { REPOSITORY } from '../e2e/versions.ts'
import { SETTINGS } from '../test/fakes/webhook-settings.ts'
import { decidePod } from '../webhook/admit/decide-pod.ts'
import { containersOf, podSchema, type Pod } from '../webhook/admit/pod.ts'
import { at } from './manifests.test-data.ts'

/**
 * Roles of single containers: the guard's cases, sent through the webhook as on a later pass, and what the webhook writes
 * for arbitrary pods and annotations, held against the rules of the guard.
 */
const GOLDENS = [
  'container-roles',
  'container-roles-alone',
  'container-roles-of-one',
  'container-roles-endpoint',
  'container-roles-eight',
  'container-roles-by-driver',
] as const
const isOfContainers = ({ from }: GuardCase): boolean => GOLDENS.some((one) => one === from)
const CASES = CASE_FILES.flatMap((file) =>
  readCases(file)
    .filter((one) => isOfContainers(one) && one.namespace === undefined && !('update' in one))
    .map((one) => ({ ...one, name: `${file}: ${one.name}` })),
)
const ROLES = 'arn:aws:iam::111122223333:role/team-a/'

/** Of Jest's realm, as which alone rfc6902 knows arrays. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

type Annotations = Readonly<Record<string, string>>

/** Annotations of the ServiceAccount for which the webhook wrote a pod of the cases. */
function accountOf(golden: string): Annotations {
  const file = join(REPOSITORY, 'webhook', 'admit', 'testdata', `${golden}.pod.yaml`)
  const objects = parseAllDocuments(readFileSync(file, 'utf8')).map(
    (one) => one.toJS() as KubernetesObject,
  )
  const account = objects.find(({ kind }) => kind === 'ServiceAccount')
  return at(account?.metadata, 'annotations') as Annotations
}

/** The pod after the webhook; undefined if it denies it. */
function afterWebhook(raw: unknown, account: Annotations): Pod | undefined {
  const facts = {
    pod: podSchema.parse(raw),
    namespace: 'team-a',
    serviceAccountAnnotations: account,
    namespaceAnnotations: { 'nocreds.dev/permitted-roles': `${ROLES}.*` },
  }
  const verdict = decidePod(facts, SETTINGS)
  if (verdict.decision === 'denied') return undefined
  const pod = copy(raw)
  expect(applyPatch(pod, copy([...verdict.patch])).every((one) => one === null)).toBe(true)
  return podSchema.parse(pod)
}

/** What containers mount and the exchanger is told, whatever the order of its variables and mounts. */
function partsOf(pod: Pod): unknown {
  const byName = <T extends { readonly name: string }>(all: readonly T[] | null | undefined) =>
    new Map(all?.map((one) => [one.name, one]))
  return {
    marks: pod.metadata.annotations?.['nocreds.dev/injected-roles'],
    volumes: byName(pod.spec.volumes),
    containers: containersOf(pod).map(({ name, env, volumeMounts }) => ({
      name,
      env: byName(env),
      mounts: new Map(volumeMounts?.map((one) => [one.mountPath, one])),
    })),
  }
}

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
  const golden = one.from as (typeof GOLDENS)[number]
  const pod = afterWebhook(objectOf(one), accountOf(golden))
  if (pod === undefined) return
  const written = podSchema.parse(objectOf({ from: golden }))
  const { volumes, ...parts } = partsOf(pod) as { volumes: Map<string, unknown> }
  const { volumes: wanted, ...others } = partsOf(written) as { volumes: Map<string, unknown> }
  expect(parts).toEqual(others)
  for (const [name, volume] of wanted) expect([name, volumes.get(name)]).toEqual([name, volume])
})

test.each(named('allowed'))('admitted by the guard, and not denied here: %s', (_, one) => {
  expect(afterWebhook(objectOf(one), accountOf(one.from as string))).toBeDefined()
})

describe('what the webhook writes for arbitrary pods', () => {
  const NAMES = ['app', 'backup', 'logs', 'setup', 'c4', 'c5', 'c6', 'c7', 'c8']
  const anyCase = fc.record({
    names: fc.shuffledSubarray(NAMES, { minLength: 1 }),
    inits: fc.nat(3),
    named: fc.shuffledSubarray(NAMES, { minLength: 1, maxLength: MAX_ROLES }),
    roleOfOthers: fc.boolean(),
    exchanger: fc.constantFrom('sidecar', 'driver'),
    delivery: fc.constantFrom('process', 'endpoint'),
    certificate: fc.constantFrom('true', 'false'),
  })

  /** The list of roles as the exchanger is told it. */
  function toldBy(pod: Pod): readonly string[] {
    const exchanger = containersOf(pod).find(({ name }) => name === 'nocreds-exchanger')
    const volume = pod.spec.volumes?.find(({ name }) => name === 'nocreds-driver')
    const attributes =
      volume && (at(volume, 'csi', 'volumeAttributes') as Readonly<Record<string, string>>)
    const value =
      exchanger?.env?.find(({ name }) => name === 'NOCREDS_CONTAINER_ROLE_ARNS')?.value ??
      attributes?.['container-role-arns']
    return value?.split(' ') ?? []
  }

  const credentialsMountsOf = (
    pod: Pod,
    name: string,
  ): readonly Readonly<Record<string, unknown>>[] =>
    (containersOf(pod).find((one) => one.name === name)?.volumeMounts ?? []).filter((mount) =>
      mount.name.startsWith('nocreds-credentials'),
    )

  /** What a container with this slot mounts; -1 if it has none. */
  const ofSlot = (slot: number): readonly object[] =>
    slot < 0 ? [] : [{ name: slotOf(slot).volume, mountPath: slotOf(0).folder, readOnly: true }]

  /** As many volumes as roles, each of which the sidecar mounts. */
  function expectSlots(pod: Pod, count: number): void {
    const slots = Array.from({ length: count }, (_, index) => slotOf(index))
    const volumes = (pod.spec.volumes ?? []).map(({ name }) => name)
    expect(volumes.filter((name) => name.startsWith('nocreds-credentials'))).toEqual(
      slots.map(({ volume }) => volume),
    )
    if (volumes.includes('nocreds-driver')) return
    expect(credentialsMountsOf(pod, 'nocreds-exchanger')).toEqual(
      slots.map(({ volume, folder }) => ({ name: volume, mountPath: folder })),
    )
  }

  test('is one slot for each container, as the guard admits it', () => {
    let admitted = 0
    fc.assert(
      fc.property(anyCase, ({ names, inits, named: wanted, roleOfOthers, ...others }) => {
        const containers = names.map((name) => ({ name }))
        const raw = {
          metadata: { name: 'app' },
          spec: {
            serviceAccountName: 'app',
            initContainers: containers.slice(1, 1 + inits),
            containers: [...containers.slice(0, 1), ...containers.slice(1 + inits)],
          },
        }
        const pod = afterWebhook(raw, {
          ...(roleOfOthers ? { 'nocreds.dev/role-arn': `${ROLES}others` } : {}),
          'nocreds.dev/container-roles': wanted.map((name) => `${name}=${ROLES}${name}`).join(' '),
          'nocreds.dev/exchanger': others.delivery === 'endpoint' ? 'sidecar' : others.exchanger,
          'nocreds.dev/delivery': others.delivery,
          'nocreds.dev/certificate': others.certificate,
        })
        if (pod === undefined) return
        admitted += 1
        const first = pod.metadata.annotations?.['nocreds.dev/injected-role'] ?? ''
        const roles = [first, ...toldBy(pod)]
        expect(roles.length).toBe(new Set(roles).size)
        expect(pod.metadata.annotations?.['nocreds.dev/injected-roles']).toBe(
          roles.length === 1 ? undefined : roles.join(' '),
        )
        for (const name of names) {
          const slot = roles.indexOf(`${ROLES}${wanted.includes(name) ? name : 'others'}`)
          expect([name, ...credentialsMountsOf(pod, name)]).toEqual([name, ...ofSlot(slot)])
        }
        expectSlots(pod, roles.length)
      }),
      { numRuns: 500 },
    )
    expect(admitted).toBeGreaterThan(50)
  })
})
