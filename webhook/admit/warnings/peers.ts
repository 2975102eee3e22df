import { PREFIX, ROLE_ARN, PERMITTED_ROLES } from '../../../contract/names.ts'
import type { Namespace, Pod } from '../pod.ts'
import { EKS_SKIPPED, EKS_ROLE, KIAM_ROLE, OF_NAMESPACES } from './peer-annotations.ts'

type Annotations = Readonly<Record<string, string>>

const has = (annotations: Annotations | null | undefined, key: string): boolean =>
  annotations !== null && annotations !== undefined && Object.hasOwn(annotations, key)

/** Warnings about annotations of other injectors, often left behind by a migration, which nocreds does not read. */
export function peerWarnings(
  pod: Pod,
  serviceAccount: Annotations,
  accountName: string,
): readonly string[] {
  const ofPod = pod.metadata.annotations
  const hasRole = has(serviceAccount, ROLE_ARN) || has(ofPod, ROLE_ARN)
  return [
    ...(has(serviceAccount, EKS_ROLE)
      ? [
          `nocreds: ServiceAccount ${accountName} has ${EKS_ROLE}, which nocreds does not read; ${hasRole ? 'remove it, or the webhook of EKS, if installed, adds its own token to the pod' : `write ${ROLE_ARN} instead`}`,
        ]
      : []),
    ...(has(ofPod, KIAM_ROLE)
      ? [
          `nocreds: the pod has ${KIAM_ROLE}, which nocreds does not read; ${hasRole ? 'remove it' : `write ${ROLE_ARN}, with the full ARN, on its ServiceAccount instead`}`,
        ]
      : []),
    ...(has(ofPod, EKS_SKIPPED)
      ? [
          `nocreds: the pod has ${EKS_SKIPPED}, which nocreds does not read; write ${PREFIX}skip-containers instead`,
        ]
      : []),
  ]
}

/** The same about a Namespace. */
export function peerWarningsOf({ metadata }: Namespace): readonly string[] {
  return OF_NAMESPACES.filter((key) => has(metadata.annotations, key)).map(
    (key) =>
      `nocreds: the Namespace has ${key}, which nocreds does not read; ${PERMITTED_ROLES} sets what it permits, as an expression for whole role ARNs`,
  )
}
