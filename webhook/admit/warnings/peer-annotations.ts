/**
 * Annotations of other injectors. Source: Amazon EKS Pod Identity Webhook, README; kiam and kube2iam, README.
 */
export const EKS_ROLE = 'eks.amazonaws.com/role-arn'
export const EKS_SKIPPED = 'eks.amazonaws.com/skip-containers'
export const KIAM_ROLE = 'iam.amazonaws.com/role'
/** Annotations of kiam and kube2iam by which a Namespace permits roles. */
export const OF_NAMESPACES = [
  'iam.amazonaws.com/permitted',
  'iam.amazonaws.com/allowed-roles',
] as const
