import { isDeepStrictEqual } from 'node:util'
import { AUTHORITY, TRUST_BUNDLE } from '../../contract/certificates.ts'
import type { KubeObject } from '../../service/kube/kube-client.ts'

/** Marks what we wrote; a ConfigMap of the name without it is removed nowhere. */
export const OURS = { key: 'app.kubernetes.io/managed-by', value: AUTHORITY.service } as const

export interface Owner {
  readonly uid: string
}

/** The ConfigMap as it is to be. */
export function wantedBundle(namespace: string, pem: string, owner: Owner | undefined): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: TRUST_BUNDLE.configMap,
      namespace,
      labels: { [OURS.key]: OURS.value, 'app.kubernetes.io/part-of': 'nocreds' },
      ...(owner === undefined ? {} : { ownerReferences: [referenceTo(owner)] }),
    },
    data: { [TRUST_BUNDLE.key]: pem },
  }
}

function referenceTo({ uid }: Owner): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    name: AUTHORITY.service,
    uid,
  }
}

/** Whether nothing that we write differs; more labels and annotations are nobody's harm. */
export function isInStep(present: KubeObject, pem: string, owner: Owner | undefined): boolean {
  const wanted = wantedBundle('', pem, owner)
  const labels = (present.metadata['labels'] ?? {}) as Readonly<Record<string, unknown>>
  return (
    isDeepStrictEqual(present['data'], wanted['data']) &&
    Object.entries(wanted.metadata['labels'] as object).every(
      ([key, value]) => labels[key] === value,
    ) &&
    isDeepStrictEqual(present.metadata['ownerReferences'], wanted.metadata['ownerReferences'])
  )
}
