import type { KubernetesObject } from './guard-cases.ts'

/** Of each kind of thing, as many as keep the pod under what etcd takes (1.5 MiB). */
const CONTAINERS = 60
const PER_CONTAINER = 40
const VOLUMES = 100
const SOURCES = 10
const NAMES = 20

function manyOf<T>(count: number, one: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => one(index))
}

/** Longest possible value of each variable that an annotation chooses. */
const LONGEST: Readonly<Record<string, string>> = {
  NOCREDS_ROLE_ARN: 'arn:aws:iam::111122223333:role/'.padEnd(2048, 'a'),
  NOCREDS_SESSION_NAME: 'a'.repeat(256),
  NOCREDS_NAMESPACE: 'longest',
}

/**
 * A pod that the webhook might have written, with every maximum at once: what its evaluation costs is bounded by
 * the apiserver, and beyond the bound it is refused. It is of the namespace `longest` of the cases.
 *
 * @param pod with credentials and a certificate, and no other init container than the exchanger
 */
export function largest(pod: KubernetesObject): KubernetesObject {
  const spec = pod.spec as unknown as Record<string, Record<string, unknown>[]>
  const [exchanger = {}] = spec['initContainers'] ?? []
  const env = exchanger['env'] as { name: string; value?: string }[]
  const names = manyOf(NAMES, (index) => `n${String(index).padStart(2, '0')}`.padEnd(60, 'a'))
  const longNames = names.map((name) => [name, name, name, name].join('.'))
  exchanger['env'] = [
    ...env.map((one) => ({ ...one, ...(LONGEST[one.name] && { value: LONGEST[one.name] }) })),
    { name: 'NOCREDS_CERTIFICATE_DNS_NAMES', value: longNames.join(',') },
    ...manyOf(PER_CONTAINER, (index) => ({ name: `VARIABLE_${index}`, value: 'a' })),
  ]
  const mounts = manyOf(PER_CONTAINER, (index) => ({ name: `v${index}`, mountPath: `/m/${index}` }))
  exchanger['volumeMounts'] = [...(exchanger['volumeMounts'] as object[]), ...mounts]
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
  const annotations = { 'nocreds.dev/injected-role': LONGEST['NOCREDS_ROLE_ARN'] }
  Object.assign(pod.metadata, { annotations })
  return pod
}
