/** The people who attack in e2e/attacks, just the rights that they have, and the Namespaces in which they have them. */
import { apiserverOf, type Apiserver } from './apiserver.ts'
import { closeSuite, openSuiteWithoutAws, type Suite } from './suite.ts'

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
const PLACES = ['team-a', 'certs-only', 'unseen', 'tobe'] as const
export type Place = (typeof PLACES)[number]

const ENABLED: readonly Place[] = ['team-a', 'certs-only', 'unseen']
/** Label of Namespaces, whose value at `unseen` is the prefix of its suite. */
export const UNSEEN = 'attacks.example/unseen'
const RBAC = { apiGroup: 'rbac.authorization.k8s.io' }

/** The suite, and who attacks it where. */
export interface Ground extends Omit<Suite, 'aws'> {
  readonly api: Apiserver
  /** Whole name of a Namespace of the ground. */
  ns(place: Place): string
  /** A role that team-a and unseen permit. It need not exist at AWS. */
  readonly role: string
}

/** @param name of the test file, with which everything that it makes begins */
export async function openGround(name: string): Promise<Ground> {
  const suite = openSuiteWithoutAws(name)
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

/** annotations of nocreds, without their prefix. */
export function annotated(values: Readonly<Record<string, string>>): Record<string, string> {
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
