/**
 * The cases of manifests/guard/cases on the policies as they are installed. Their Namespaces are neither
 * the webhook's nor those of the installed bindings, so that settings can change under the guard while
 * nothing else on the cluster notices: copies of the bindings lead to settings of our own.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { realClock, sleep } from '../../platform/clock.ts'
import { apiserverOf, type ApiAnswer, type Apiserver } from './apiserver.ts'
import {
  CASE_FILES,
  objectOf,
  readCaseObjects,
  readCases,
  type Data,
  type GuardCase,
} from './guard-cases.ts'
import type { Kubectl } from './kubectl.ts'

const INJECTION = 'nocreds.dev/injection'
/** Stands for the label of the webhook, which the webhook would remove where it does not follow. */
const OURS = 'guard-cases.example/bound'
const WEBHOOKS = ['patch', 'mutatingwebhookconfiguration', 'nocreds', '--type=json', '--patch']
/** How long settings, Namespaces and policies take to reach the policies inside the apiserver, at most. */
const TAKES_EFFECT_MS = 1000
/** What team-a permits, as in the objects of the cases. */
const TEAM_A = 'arn:aws:iam::111122223333:role/team-a/.*'
const PATCH = 'application/json-patch+json'
const MERGE = 'application/merge-patch+json'

interface Binding {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly paramRef?: { readonly namespace: string }
    readonly matchResources?: { readonly namespaceSelector: unknown }
  }
}

const objects = readCaseObjects().map((object) => {
  const { [INJECTION]: bound, ...labels } = object.metadata.labels ?? {}
  if (object.kind !== 'Namespace') return object
  const metadata = {
    ...object.metadata,
    labels: { ...labels, [OURS]: String(bound !== undefined) },
  }
  return { ...object, metadata }
})
const namespaces = objects
  .filter(({ kind }) => kind === 'Namespace')
  .map(({ metadata }) => metadata.name ?? '')

let kubectl: Kubectl
let api: Apiserver
let baseSettings: Data
let settings: Data

async function use(wanted: Data): Promise<void> {
  if (JSON.stringify(wanted) === JSON.stringify(settings)) return
  const path = '/api/v1/namespaces/not-labelled/configmaps/nocreds-settings'
  const gone = Object.fromEntries(Object.keys(settings).map((key) => [key, null]))
  await api({ method: 'PATCH', path, body: { data: { ...gone, ...wanted } }, contentType: MERGE })
  settings = wanted
  await sleep(realClock, TAKES_EFFECT_MS)
}

/** Of team-a, the Namespace of every case that changes one. */
async function permit(permittedRoles: string): Promise<void> {
  const body = { metadata: { annotations: { 'nocreds.dev/permitted-roles': permittedRoles } } }
  const path = '/api/v1/namespaces/team-a'
  const { status } = await api({ method: 'PATCH', path, body, contentType: MERGE })
  expect(status).toBe(200)
  await sleep(realClock, TAKES_EFFECT_MS)
}

const nameOf = ({ body }: ApiAnswer): string =>
  (body as { readonly metadata?: { readonly name?: string } }).metadata?.name ?? ''

/** Sends what the case says; what it created is gone afterwards. */
async function answerTo(one: GuardCase): Promise<ApiAnswer> {
  const { as } = one
  const body = objectOf(one)
  const base = `/api/v1/namespaces/${one.namespace ?? 'team-a'}`
  if (body.kind === 'TokenRequest') {
    const path = `${base}/serviceaccounts/${body.metadata.name ?? ''}/token`
    return api({ method: 'POST', path, body, as })
  }
  const list = `${base}/${body.kind === 'Pod' ? 'pods' : 'serviceaccounts'}`
  const isAboutCreation = one.update === undefined && one.container === undefined
  const creator = isAboutCreation ? as : undefined
  const created = await api({ method: 'POST', path: list, body, as: creator })
  const path = `${list}/${nameOf(created)}`
  try {
    return isAboutCreation ? created : await answerAbout(one, created, path)
  } finally {
    if (created.status === 201)
      await api({ method: 'DELETE', path: `${path}?gracePeriodSeconds=0` })
  }
}

/** What the case does to an object that is there: an update, or a command in one of its containers. */
async function answerAbout(one: GuardCase, created: ApiAnswer, path: string): Promise<ApiAnswer> {
  const { as, between = {}, container, subresource } = one
  expect(created).toMatchObject({ status: 201 })
  if (between.settings) await use({ ...baseSettings, ...between.settings })
  if (between.permittedRoles) await permit(between.permittedRoles)
  const target = subresource === undefined ? path : `${path}/${subresource}`
  if (container === undefined)
    return api({ method: 'PATCH', path: target, body: one.update, contentType: PATCH, as })
  const query = `container=${container}&command=id&stdout=true`
  return api({ method: 'POST', path: `${target}?${query}`, as })
}

/**
 * Registers the cases of every file with Jest.
 *
 * @param open gives the cluster, with nocreds installed; called before the first case
 */
export function runGuardCases(open: () => Promise<Kubectl>): void {
  beforeAll(async () => {
    kubectl = await open()
    await setUp()
  }, 60_000)
  afterAll(tearDown, 60_000)
  describe.each(CASE_FILES)('guard: %s', runFile)
}

async function setUp(): Promise<void> {
  api = await apiserverOf(kubectl)
  // Namespaces of the cases are what the webhook would mend or refuse.
  const elsewhere = { matchExpressions: [{ key: OURS, operator: 'DoesNotExist' }] }
  const patch = { op: 'replace', path: '/webhooks/1/objectSelector', value: elsewhere }
  await kubectl([...WEBHOOKS, JSON.stringify([patch])])
  await sleep(realClock, TAKES_EFFECT_MS)
  await kubectl.apply(...objects)
  const installed = ['configmap', 'nocreds-settings', '--namespace', 'nocreds-system']
  const { data } = await kubectl.get<{ readonly data: Data }>(installed)
  // The goldens are of a webhook that asks AWS's own STS.
  baseSettings = settings = { ...data, stsEndpoint: '' }
  const metadata = { name: 'nocreds-settings', namespace: 'not-labelled' }
  const bindings = [
    'validatingadmissionpolicybinding',
    '-l',
    'app.kubernetes.io/name=nocreds-guard',
  ]
  const { items } = await kubectl.get<{ readonly items: readonly Binding[] }>(bindings)
  const copies = items.filter(({ spec }) => spec.matchResources !== undefined).map(copyOf)
  expect(copies.length).toBeGreaterThan(3)
  await kubectl.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: settings }, ...copies)
  await sleep(realClock, 5 * TAKES_EFFECT_MS)
}

function copyOf({ metadata, spec }: Binding): object {
  const namespaceSelector = { matchLabels: { [OURS]: 'true' } }
  const { paramRef } = spec
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: `cases-${metadata.name}`, labels: { [OURS]: 'true' } },
    spec: {
      ...spec,
      ...(paramRef && { paramRef: { ...paramRef, namespace: 'not-labelled' } }),
      matchResources: { namespaceSelector },
    },
  }
}

async function tearDown(): Promise<void> {
  const label = ['--selector', `${OURS}=true`]
  await kubectl(['delete', 'validatingadmissionpolicybinding', ...label])
  await kubectl(['delete', 'namespace', '--wait=false', '--ignore-not-found', ...namespaces])
  const patch = { op: 'replace', path: '/webhooks/1/objectSelector', value: {} }
  await kubectl([...WEBHOOKS, JSON.stringify([patch])])
}

/** NodeRestriction, an admission plugin that decides before policies do, knows these users. */
function isKubelet({ as }: GuardCase): boolean {
  return (
    as !== undefined && as.user.startsWith('system:node:') && as.groups.includes('system:nodes')
  )
}

function runFile(file: (typeof CASE_FILES)[number]): void {
  const cases = readCases(file)
  afterAll(() => use(baseSettings))

  test.each(cases.filter((one) => !isKubelet(one)))('$verdict: $name', async (one) => {
    await use({ ...baseSettings, ...one.settings })
    const { status, message } = await answerTo(one).finally(async () => {
      if (one.between?.permittedRoles) await permit(TEAM_A)
    })
    const byGuard = /ValidatingAdmissionPolicy '(nocreds-[a-z-]+)'/.exec(message)?.[1]
    if (one.verdict === 'denied') {
      expect({ byGuard, message }).toEqual({
        byGuard: `nocreds-${file}`,
        message: expect.stringContaining(one.message ?? ''),
      })
    } else if (one.container === undefined) {
      expect({ status, message }).toMatchObject({ status: one.update ? 200 : 201 })
    } else {
      // Admitted; but the pod is on no node.
      expect(message).toContain('does not have a host assigned')
    }
  })

  if (cases.some(isKubelet))
    test.each(cases.filter(isKubelet))('not refused by the guard: $name', async (one) => {
      expect(one.verdict).toBe('allowed')
      await use({ ...baseSettings, ...one.settings })
      const { message } = await answerTo(one)
      expect(message).not.toContain('ValidatingAdmissionPolicy')
    })
}
