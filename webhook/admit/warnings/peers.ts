import { PREFIX, ROLE_ARN, PERMITTED_ROLES } from '../../../contract/names.ts'
import type { Namespace, Pod } from '../pod.ts'
import { EKS_SKIPPED, EKS_ROLE, KIAM_ROLE, OF_NAMESPACES } from './peer-annotations.ts'

type Annotations = Readonly<Record<string, string>>

const has = (annotations: Annotations | null | undefined, key: string): boolean =>
  annotations !== null && annotations !== undefined && Object.hasOwn(annotations, key)

/** About annotations of other injectors, which nocreds does not read; people who migrate leave them behind. */
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
          `nocreds: ServiceAccount ${accountName} has ${EKS_ROLE}, which nocreds does not read; ${hasRole ? 'take it away, or the webhook of EKS, where it runs, gives the pod a token as well' : `write ${ROLE_ARN} instead`}`,
        ]
      : []),
    ...(has(ofPod, KIAM_ROLE)
      ? [
          `nocreds: the pod has ${KIAM_ROLE}, which nocreds does not read; ${hasRole ? 'take it away' : `write ${ROLE_ARN}, with the full ARN, on its ServiceAccount instead`}`,
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
      `nocreds: the Namespace has ${key}, which nocreds does not read; ${PERMITTED_ROLES} says what it permits, by an expression for whole role ARNs`,
  )
}
