import { MAX_ROLES } from '../../contract/container-roles.ts'
import type { KubernetesObject } from './kubernetes-object.ts'

/** Of each kind of thing, as many as keep the pod under what etcd takes (1.5 MiB). */
const CONTAINERS = 60
const PER_CONTAINER = 40
const VOLUMES = 100
const SOURCES = 10
const NAMES = 20
/** That STS and the exchanger take; the key is of 8 characters, and 4,096 are as many as all may have. */
const TAGS = 44
const TAG_VALUE = 83
const ARNS = 10

function manyOf<T>(count: number, one: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => one(index))
}

/** Longest possible value of each variable that an annotation chooses. */
const LONGEST: Readonly<Record<string, string>> = {
  NOCREDS_ROLE_ARN: 'arn:aws:iam::111122223333:role/'.padEnd(2048, 'a'),
  NOCREDS_SESSION_NAME: 'a'.repeat(256),
  NOCREDS_NAMESPACE: 'longest',
}

const POLICIES = {
  'session-policy': `{${' '.repeat(2046)}}`,
  'session-policy-arns': manyOf(ARNS, (index) =>
    `arn:aws:iam::111122223333:policy/${index}`.padEnd(633, 'a'),
  ).join(' '),
} as const

/** What further roles bring, by the name of the attribute that the driver reads. */
type Session = Readonly<Record<string, string>>

/** Of a target role; the expression of the tags is `k.*`. */
const OF_TARGET: Session = {
  'target-role-arn': 'arn:aws:iam::111122223333:role/'.padEnd(2047, 'a'),
  'external-id': 'a'.repeat(1224),
  'session-tags': manyOf(TAGS, (index) =>
    `k${String(index).padStart(7, '0')}=`.padEnd(TAG_VALUE + 9, 'a'),
  ).join(','),
  'default-session-tags': 'true',
  ...POLICIES,
}

/** Of as many roles of single containers as a pod may have. */
export const OF_CONTAINERS: Session = {
  'container-role-arns': manyOf(MAX_ROLES - 1, (index) =>
    'arn:aws:iam::111122223333:role/'.padEnd(2047 - index, 'a'),
  ).join(' '),
  ...POLICIES,
}

const POD_UID = {
  name: 'NOCREDS_POD_UID',
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.uid' } },
}

/** Marks of such a pod. */
function marksOf(session: Session): object {
  const first = LONGEST['NOCREDS_ROLE_ARN'] ?? ''
  const further = session['target-role-arn'] ?? session['container-role-arns'] ?? ''
  return {
    'nocreds.dev/injected-role': first,
    'nocreds.dev/injected-roles': `${first} ${further}`,
  }
}

/**
 * A pod that the webhook might have written, with every maximum at once: what its evaluation costs is bounded by
 * the apiserver, and beyond the bound it is refused. It is of the namespace `longest` of the cases.
 *
 * @param pod with credentials and a certificate, and no other init container than the exchanger
 */
export function largest(pod: KubernetesObject, session = OF_TARGET): KubernetesObject {
  const spec = pod.spec as unknown as Record<string, Record<string, unknown>[]>
  const [exchanger = {}] = spec['initContainers'] ?? []
  const env = exchanger['env'] as { name: string; value?: string }[]
  const told = Object.entries(session)
    .filter(([key]) => key !== 'default-session-tags')
    .map(([key, value]) => ({ name: `NOCREDS_${key.toUpperCase().replaceAll('-', '_')}`, value }))
  const longest = { ...LONGEST, ...Object.fromEntries(told.map((one) => [one.name, one.value])) }
  exchanger['env'] = [
    ...env.map((one) => ({ ...one, ...(longest[one.name] && { value: longest[one.name] }) })),
    { name: 'NOCREDS_CERTIFICATE_DNS_NAMES', value: longestNames() },
    ...told.filter(({ name }) => !env.some((one) => one.name === name)),
    ...('default-session-tags' in session ? [POD_UID] : []),
    ...manyOf(PER_CONTAINER, (index) => ({ name: `VARIABLE_${index}`, value: 'a' })),
  ]
  const mounts = manyMounts()
  exchanger['volumeMounts'] = [...(exchanger['volumeMounts'] as object[]), ...mounts]
  addMany(pod, mounts, session)
  return pod
}

/** The same of a pod of the driver. */
export function largestOfDriver(pod: KubernetesObject, session = OF_TARGET): KubernetesObject {
  const { volumes = [] } = pod.spec as { volumes?: { csi?: { volumeAttributes: object } }[] }
  for (const { csi } of volumes) {
    if (csi === undefined) continue
    csi.volumeAttributes = {
      ...csi.volumeAttributes,
      'role-arn': LONGEST['NOCREDS_ROLE_ARN'],
      'session-name': LONGEST['NOCREDS_SESSION_NAME'],
      audience: 'a'.repeat(253),
      'certificate-dns-names': longestNames(),
      ...session,
    }
  }
  addMany(pod, manyMounts(), session)
  return pod
}

function manyMounts(): object[] {
  return manyOf(PER_CONTAINER, (index) => ({ name: `v${index}`, mountPath: `/m/${index}` }))
}

function longestNames(): string {
  const names = manyOf(NAMES, (index) => `n${String(index).padStart(2, '0')}`.padEnd(60, 'a'))
  return names.map((name) => [name, name, name, name].join('.')).join(',')
}

/** Containers, their mounts and variables, and volumes. */
function addMany(pod: KubernetesObject, mounts: readonly object[], session: Session): void {
  const spec = pod.spec as unknown as Record<string, Record<string, unknown>[]>
  const [app = {}] = spec['containers'] ?? []
  spec['containers'] = manyOf(CONTAINERS, (index) => ({
    ...app,
    name: index === 0 ? 'app' : `app-${index}`,
    volumeMounts: [...(app['volumeMounts'] as object[]), ...mounts],
    env: manyOf(PER_CONTAINER, (variable) => ({ name: `VARIABLE_${variable}`, value: 'a' })),
  }))
  const sources = manyOf(SOURCES, (index) => ({
    serviceAccountToken: { audience: `audience-${index}`, path: `token-${index}` },
  }))
  const volumes = manyOf(VOLUMES, (index) => ({ name: `v${index}`, projected: { sources } }))
  spec['volumes'] = [...(spec['volumes'] ?? []), ...volumes]
  Object.assign(pod.metadata, { annotations: marksOf(session) })
}
