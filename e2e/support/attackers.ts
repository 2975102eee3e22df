/** The people who attack in e2e/attacks, just the rights that they have, and the Namespaces in which they have them. */
import { expect } from '@jest/globals'
import { applyPatch, type Operation } from 'rfc6902'
import { apiserverOf, type ApiAnswer, type Apiserver } from './apiserver.ts'
import { closeSuite, openSuite, type Suite } from './suite.ts'
import { waitFor } from './wait.ts'

export interface User {
  readonly user: string
  readonly groups: readonly string[]
}

const person = (user: string): User => ({ user, groups: ['system:authenticated'] })

/** A developer: the ClusterRole `admin` in each Namespace of the ground. */
export const DEV = person('dev')
/** Writes ConfigMaps in certs-only, and may do nothing else. */
export const CONFIG_MAP_WRITER = person('cmwriter')
/** A Role of `*` in team-a and certs-only, as many platforms give it to the owner of a namespace. */
export const OWNER = person('owner')

/**
 * | Namespace  | permits                               | ServiceAccounts               |
 * |------------|---------------------------------------|-------------------------------|
 * | team-a     | roles `PREFIX-…`, own DNS names       | victim                        |
 * | certs-only | own DNS names                         | victim; app has a certificate |
 * | unseen     | as team-a; the webhook sees no pod of it, so only the guard is left | victim |
 * | tobe       | nothing: it is not enabled            | victim                        |
 */
export const PLACES = ['team-a', 'certs-only', 'unseen', 'tobe'] as const
export type Place = (typeof PLACES)[number]

const ENABLED: readonly Place[] = ['team-a', 'certs-only', 'unseen']
const UNSEEN = 'attacks.example/unseen'
const RBAC = { apiGroup: 'rbac.authorization.k8s.io' }

/** The suite, and who attacks it where. */
export interface Ground extends Suite {
  readonly api: Apiserver
  /** Whole name of a Namespace of the ground. */
  ns(place: Place): string
  /** A role that team-a and unseen permit. It need not exist at AWS. */
  readonly role: string
}

/** @param name of the test file, with which everything that it makes begins */
export async function openGround(name: string): Promise<Ground> {
  const suite = await openSuite(name)
  const { kubectl, prefix } = suite
  const api = await apiserverOf(kubectl)
  const ns = (place: Place): string => `${prefix}-${place}`
  const role = `arn:aws:iam::111122223333:role/${prefix}-app`
  await kubectl.apply(
    ...PLACES.flatMap((place) => [namespaceOf(place, ns(place), prefix), account(ns(place))]),
    ...PLACES.map((place) => grant(ns(place), DEV, { kind: 'ClusterRole', name: 'admin' })),
    account(ns('certs-only'), 'app', { certificate: 'true' }),
    ...ownRole(ns('certs-only'), CONFIG_MAP_WRITER, {
      apiGroups: [''],
      resources: ['configmaps'],
      verbs: ['get', 'create', 'update', 'patch', 'delete'],
    }),
    ...(['team-a', 'certs-only'] as const).flatMap((place) =>
      ownRole(ns(place), OWNER, { apiGroups: ['*'], resources: ['*'], verbs: ['*'] }),
    ),
  )
  return { ...suite, api, ns, role }
}

export const closeGround = closeSuite

function annotated(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`nocreds.dev/${key}`, value]),
  )
}

function namespaceOf(place: Place, name: string, prefix: string): object {
  const permits = {
    'permitted-dns-names': '',
    ...(place !== 'certs-only' && { 'permitted-roles': `arn:aws:iam::[0-9]+:role/${prefix}-.*` }),
  }
  const annotations = ENABLED.includes(place) ? annotated(permits) : {}
  const labels = { [UNSEEN]: place === 'unseen' ? prefix : 'no' }
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels, annotations } }
}

function account(
  namespace: string,
  name = 'victim',
  annotations: Readonly<Record<string, string>> = {},
): object {
  const metadata = { name, namespace, annotations: annotated(annotations) }
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
}

/** A RoleBinding for one person. */
export function grant(
  namespace: string,
  { user }: User,
  role: { readonly kind: string; readonly name: string },
): object {
  return {
    apiVersion: `${RBAC.apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { name: user, namespace },
    subjects: [{ ...RBAC, kind: 'User', name: user }],
    roleRef: { ...RBAC, ...role },
  }
}

/** A Role of one rule, and its RoleBinding. */
export function ownRole(namespace: string, who: User, rule: object): object[] {
  const metadata = { name: who.user, namespace }
  return [
    { apiVersion: `${RBAC.apiGroup}/v1`, kind: 'Role', metadata, rules: [rule] },
    grant(namespace, who, { kind: 'Role', name: who.user }),
  ]
}

/** One request of an attacker. */
export interface Act {
  /** Default: {@link DEV}. */
  readonly as?: User
  /** Default: POST; PATCH where `type` is given. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Default: v1. */
  readonly api?: string
  readonly place: Place
  /** Such as `pods` or `pods/app/exec?command=id`. */
  readonly resource: string
  readonly body?: unknown
  /** Of a patch. */
  readonly type?: 'json' | 'merge' | 'strategic-merge' | 'apply'
  /** True: what is admitted is kept. Default: a dry run, which admission sees in the same way. */
  readonly isReal?: boolean
}

/** Sends it, and gives what the apiserver answers. */
export function send(ground: Ground, act: Act): Promise<ApiAnswer> {
  const { as = DEV, api = 'v1', place, type, body } = act
  const root = api === 'v1' ? '/api/v1' : `/apis/${api}`
  const [resource = '', query] = act.resource.split('?')
  const queries = [
    query,
    act.isReal === true ? undefined : 'dryRun=All',
    type === 'apply' ? 'fieldManager=attacker&force=true' : undefined,
  ].filter((part) => part !== undefined)
  return ground.api({
    method: act.method ?? (type === undefined ? 'POST' : 'PATCH'),
    path: `${root}/namespaces/${ground.ns(place)}/${resource}?${queries.join('&')}`,
    body,
    as,
    ...(type && { contentType: `application/${type}-patch+${type === 'apply' ? 'yaml' : 'json'}` }),
  })
}

const STOPPED_BY =
  /ValidatingAdmissionPolicy '([^']+)'|admission webhook "([^"]+)" denied the request/
const NO_RIGHT = /User "[^"]+" cannot /

/** The policy or webhook that a refusal names; `RBAC` for a right that is missing; else ''. */
export function stopperOf({ message }: ApiAnswer): string {
  const [, policy, webhook] = STOPPED_BY.exec(message) ?? []
  return policy ?? webhook ?? (NO_RIGHT.test(message) ? 'RBAC' : '')
}

/** @param says part of what the refusal says */
export function expectStopped(answer: ApiAnswer, by: string, says: string): void {
  const { status, message } = answer
  expect({ by: stopperOf(answer), status, message }).toEqual({
    by,
    status: 403,
    message: expect.stringContaining(says),
  })
}

export function expectAdmitted({ status, message }: ApiAnswer): void {
  expect({ message, isAdmitted: status === 200 || status === 201 }).toEqual({
    message: '',
    isAdmitted: true,
  })
}

/** Such a pod is of a scheduler that does not exist, so it never starts where it is kept. */
export interface AttackPod {
  readonly apiVersion: 'v1'
  readonly kind: 'Pod'
  readonly metadata: Readonly<Record<string, unknown>>
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly initContainers?: readonly {
      readonly name: string
      readonly env?: readonly { readonly name: string }[]
    }[]
    readonly volumes?: readonly { readonly name: string }[]
  }
}

/** @param annotations of ours, without their prefix */
export function podOf(
  spec: Readonly<Record<string, unknown>> = {},
  annotations: Readonly<Record<string, string>> = {},
): AttackPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'case', annotations: annotated(annotations) },
    spec: {
      serviceAccountName: 'victim',
      schedulerName: 'none',
      containers: [{ name: 'app', image: 'example/app:1' }],
      ...spec,
    },
  }
}

/** The pod as the webhook writes it, as anyone who may create pods learns it: from a dry run. */
export async function injectedPod(
  ground: Ground,
  place: Place,
  annotations: Readonly<Record<string, string>>,
): Promise<AttackPod> {
  const answer = await send(ground, { place, resource: 'pods', body: podOf({}, annotations) })
  expectAdmitted(answer)
  const { metadata, spec } = answer.body as AttackPod
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'case', annotations: metadata['annotations'] },
    spec,
  }
}

/** A pod with a change, as JSON patch. */
export function changed(pod: AttackPod, operations: readonly Operation[]): AttackPod {
  // Unlike structuredClone, it makes arrays of Jest's realm, as which alone rfc6902 knows arrays.
  const copy = JSON.parse(JSON.stringify(pod)) as AttackPod
  const own = JSON.parse(JSON.stringify(operations)) as Operation[]
  for (const failed of applyPatch(copy, own)) if (failed !== null) throw failed
  return copy
}

const SELECTOR = '/webhooks/0/namespaceSelector/matchExpressions'

/**
 * Takes the Namespace `unseen` away from the webhook for pods.
 *
 * @returns what gives it back
 */
export async function hideFromWebhook(ground: Ground): Promise<() => Promise<void>> {
  const configuration = ['mutatingwebhookconfiguration', 'nocreds']
  const patch = async (...operations: readonly object[]): Promise<void> => {
    const how = ['--type=json', '--patch', JSON.stringify(operations)]
    await ground.kubectl(['patch', ...configuration, ...how])
  }
  const hidden = { key: UNSEEN, operator: 'NotIn', values: [ground.prefix] }
  await patch({ op: 'add', path: `${SELECTOR}/-`, value: hidden })
  // An unknown annotation is what the webhook alone refuses.
  const body = podOf({}, { unknown: '' })
  await waitFor('the webhook to see no pod of unseen', 30_000, async () => {
    const { status } = await send(ground, { place: 'unseen', resource: 'pods', body })
    return status === 201 ? true : undefined
  })
  // Another file may add or remove its own meanwhile: then the test operation fails.
  const giveBack = async (): Promise<true> => {
    const { webhooks } = await ground.kubectl.get<Configuration>(configuration)
    const value = webhooks[0].namespaceSelector.matchExpressions
    const at = value.findIndex(({ values }) => values[0] === ground.prefix)
    const path = `${SELECTOR}/${at}`
    await patch({ op: 'test', path, value: hidden }, { op: 'remove', path })
    return true
  }
  return async () => {
    await waitFor('the webhook to see all pods again', 30_000, giveBack)
  }
}

interface Configuration {
  readonly webhooks: readonly [
    {
      readonly namespaceSelector: {
        readonly matchExpressions: readonly { readonly values: readonly string[] }[]
      }
    },
  ]
}
