/**
 * The cases of manifests/guard/cases on the policies as they are installed. Their Namespaces are enabled as
 * any other, but neither the webhook nor the installed bindings with parameters look at them, so that
 * settings can change under the guard while nothing else on the cluster notices: copies of those bindings
 * lead to settings of our own.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { apiserverOf, type ApiAnswer } from './apiserver.ts'
import { answerTo, MERGE, TAKES_EFFECT_MS, type CaseHarness } from './guard-case-requests.ts'
import {
  CASE_FILES,
  objectOf,
  deniedBy,
  readCaseObjects,
  readCases,
  type CaseFile,
  type Data,
  type GuardCase,
} from './guard-cases.ts'
import type { Kubectl } from './kubectl.ts'

const INJECTION = 'nocreds.dev/injection'
/** On the Namespaces of the cases. */
const BOUND = 'guard-cases.example/bound'
const ELSEWHERE = { matchExpressions: [{ key: BOUND, operator: 'DoesNotExist' }] }
const WEBHOOKS = ['patch', 'mutatingwebhookconfiguration', 'nocreds', '--type=json', '--patch']
const BINDING = 'validatingadmissionpolicybinding'
/** What team-a is, as in the objects of the cases. */
const TEAM_A = {
  labels: { [INJECTION]: 'enabled' },
  annotations: { 'nocreds.dev/permitted-roles': 'arn:aws:iam::111122223333:role/team-a/.*' },
}

interface Binding {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly paramRef?: { readonly namespace: string }
    readonly matchResources?: { readonly namespaceSelector: object }
  }
}

const objects = readCaseObjects().map((object) => {
  if (object.kind !== 'Namespace') return object
  const labels = { ...object.metadata.labels, [BOUND]: 'true' }
  return { ...object, metadata: { ...object.metadata, labels } }
})
const namespaces = objects
  .filter(({ kind }) => kind === 'Namespace')
  .map(({ metadata }) => metadata.name ?? '')

let kubectl: Kubectl
let harness: CaseHarness

/** Which cases cannot be run on a cluster. */
export interface GuardCaseOptions {
  /** Kinds that its apiserver does not know; cases that need one are skipped. Default: none. */
  readonly lacks?: readonly string[]
}

/**
 * Registers the cases of every file with Jest.
 *
 * @param open returns the cluster, with nocreds installed; called before the first case
 */
export function runGuardCases(
  open: () => Promise<Kubectl>,
  { lacks = [] }: GuardCaseOptions = {},
): void {
  beforeAll(async () => {
    kubectl = await open()
    harness = await setUp()
  }, 180_000)
  afterAll(tearDown, 60_000)
  describe.each(CASE_FILES)('guard: %s', (file) => {
    runFile(file, lacks)
  })
}

async function setUp(): Promise<CaseHarness> {
  const api = await apiserverOf(kubectl)
  await leaveAlone(true)
  await kubectl.apply(...objects)
  const installed = ['configmap', 'nocreds-settings', '--namespace', 'nocreds-system']
  const { data } = await kubectl.get<{ readonly data: Data }>(installed)
  // The goldens are of a webhook that asks AWS's own STS.
  const baseSettings = { ...data, stsEndpoint: '' }
  let settings: Data = baseSettings
  const metadata = { name: 'nocreds-settings', namespace: 'not-labelled' }
  const copies = (await withParameters()).map(copyOf)
  expect(copies.length).toBeGreaterThan(1)
  await kubectl.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: settings }, ...copies)
  await sleep(realClock, 5 * TAKES_EFFECT_MS)
  const use = async (wanted: Data): Promise<void> => {
    if (JSON.stringify(wanted) === JSON.stringify(settings)) return
    const path = '/api/v1/namespaces/not-labelled/configmaps/nocreds-settings'
    const gone = Object.fromEntries(Object.keys(settings).map((key) => [key, null]))
    await api({ method: 'PATCH', path, body: { data: { ...gone, ...wanted } }, contentType: MERGE })
    settings = wanted
    await sleep(realClock, TAKES_EFFECT_MS)
  }
  return { api, use, baseSettings }
}

async function withParameters(): Promise<readonly Binding[]> {
  const label = ['--selector', 'app.kubernetes.io/name=nocreds-guard']
  const { items } = await kubectl.get<{ readonly items: readonly Binding[] }>([BINDING, ...label])
  return items.filter(({ spec }) => spec.paramRef !== undefined)
}

/** Whether webhook and installed bindings with parameters leave the Namespaces of the cases alone. */
async function leaveAlone(isLeft: boolean): Promise<void> {
  const label = { matchLabels: { [INJECTION]: 'enabled' } }
  const expressions = isLeft ? ELSEWHERE.matchExpressions : []
  const key = 'kubernetes.io/metadata.name'
  const notOfTheWebhook = { key, operator: 'NotIn', values: ['nocreds-system', 'nocreds-driver'] }
  const patch = [
    {
      op: 'replace',
      path: '/webhooks/0/namespaceSelector',
      value: { ...label, matchExpressions: [notOfTheWebhook, ...expressions] },
    },
    { op: 'replace', path: '/webhooks/1/objectSelector', value: isLeft ? ELSEWHERE : {} },
  ]
  await kubectl([...WEBHOOKS, JSON.stringify(patch)])
  for (const { metadata } of await withParameters()) {
    const value = { ...label, ...(isLeft && ELSEWHERE) }
    const selector = [{ op: 'replace', path: '/spec/matchResources/namespaceSelector', value }]
    const named = ['patch', BINDING, metadata.name, '--type=json']
    await kubectl([...named, '--patch', JSON.stringify(selector)])
  }
  await sleep(realClock, TAKES_EFFECT_MS)
}

/** The same binding, for the Namespaces of the cases and with the settings of the cases. */
function copyOf({ metadata, spec }: Binding): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: `cases-${metadata.name}`, labels: { [BOUND]: 'true' } },
    spec: {
      ...spec,
      paramRef: { ...spec.paramRef, namespace: 'not-labelled' },
      matchResources: {
        namespaceSelector: { matchLabels: { [INJECTION]: 'enabled', [BOUND]: 'true' } },
      },
    },
  }
}

async function tearDown(): Promise<void> {
  await kubectl(['delete', BINDING, '--selector', `${BOUND}=true`])
  await kubectl(['delete', 'namespace', '--wait=false', '--ignore-not-found', ...namespaces])
  await leaveAlone(false)
}

/** NodeRestriction, an admission plugin that decides before policies do, refuses kubelets without a pod. */
function isRefusedBefore({ as, pod }: GuardCase): boolean {
  const isKubelet =
    as?.user.startsWith('system:node:') === true && as.groups.includes('system:nodes')
  return isKubelet && pod === undefined
}

function runFile(file: CaseFile, lacks: readonly string[]): void {
  const cases = readCases(file)
  const isLacking = ({ needs }: GuardCase): boolean => needs !== undefined && lacks.includes(needs)
  const known = cases.filter((one) => !isLacking(one))
  afterAll(() => harness.use(harness.baseSettings))

  const decided = known.filter((one) => !isRefusedBefore(one))
  if (decided.length > 0)
    test.each(decided)('$verdict: $name', async (one) => {
      await harness.use({ ...harness.baseSettings, ...one.settings })
      const answer = await answerTo(one, harness).finally(() => restore(one))
      if (one.verdict === 'denied') expectDenial(file, one, answer)
      else expectAdmission(one, answer)
    })
  if (known.some(isRefusedBefore))
    test.each(known.filter(isRefusedBefore))('not refused by the guard: $name', async (one) => {
      expect(one.verdict).toBe('allowed')
      await harness.use({ ...harness.baseSettings, ...one.settings })
      const { message } = await answerTo(one, harness)
      expect(message).not.toContain('ValidatingAdmissionPolicy')
    })
  if (cases.some(isLacking))
    test.skip.each(cases.filter(isLacking))('the apiserver lacks $needs: $name', () => undefined)
}

/** Of team-a, the Namespace of every case that changes one and leaves it. */
async function restore({ between }: GuardCase): Promise<void> {
  if (between?.permittedRoles === undefined && between?.isEnabled === undefined) return
  const body = { metadata: TEAM_A }
  const path = '/api/v1/namespaces/team-a'
  const { status } = await harness.api({ method: 'PATCH', path, body, contentType: MERGE })
  expect(status).toBe(200)
  await sleep(realClock, TAKES_EFFECT_MS)
}

function expectDenial(file: CaseFile, one: GuardCase, { message }: ApiAnswer): void {
  const byGuard = /ValidatingAdmissionPolicy '(nocreds-[a-z-]+)'/.exec(message)?.[1]
  expect({ byGuard, message }).toEqual({
    byGuard: expect.stringMatching(`^(${deniedBy(file).join('|')})$`),
    message: expect.stringContaining(one.message ?? ''),
  })
}

const WRITTEN_BY_THE_AUTHORITY = ['ConfigMap', 'ClusterTrustBundle']

function expectAdmission(one: GuardCase, { status, message }: ApiAnswer): void {
  if (one.container !== undefined) {
    // Admitted; but the pod is on no node.
    expect(message).toContain('does not have a host assigned')
  } else if (WRITTEN_BY_THE_AUTHORITY.includes(objectOf(one).kind) && status === 409) {
    // Admitted; but the authority of the cluster was faster.
    expect(message).not.toContain('ValidatingAdmissionPolicy')
  } else {
    const isAdmitted = status === 200 || status === 201
    expect({ isAdmitted, status, message }).toEqual({ isAdmitted: true, status, message })
  }
}
