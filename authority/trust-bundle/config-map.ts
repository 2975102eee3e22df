import { AUTHORITY, TRUST_BUNDLE } from '../../contract/certificates.ts'
import type { KubeClient, KubeObject } from '../../shared/server/kube/kube-client.ts'

/** Owner of the trust bundles: they are deleted with it. */
export interface Owner {
  readonly uid: string
}

const OWNER_PATH = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${AUTHORITY.service}`

/** Read now; undefined if the ClusterRole does not exist. @throws KubeError */
export async function ownerOf(kube: KubeClient): Promise<Owner | undefined> {
  const uid = (await kube.getMetadata(OWNER_PATH))?.metadata['uid']
  return typeof uid === 'string' ? { uid } : undefined
}

/** Labels and owner of every object with a trust bundle. */
export function bundleMetadata(owner: Owner | undefined): object {
  return {
    labels: {
      'app.kubernetes.io/managed-by': AUTHORITY.service,
      'app.kubernetes.io/part-of': 'nocreds',
      // A restored one would be outdated.
      'velero.io/exclude-from-backup': 'true',
    },
    ...(owner === undefined ? {} : { ownerReferences: [referenceTo(owner)] }),
  }
}

/** The desired ConfigMap. @param pem of every CA that peers accept */
export function wantedBundle(namespace: string, pem: string, owner: Owner | undefined): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: TRUST_BUNDLE.configMap, namespace, ...bundleMetadata(owner) },
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
