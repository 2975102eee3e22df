/**
 * Annotations of other injectors. Source: Amazon EKS Pod Identity Webhook, README; kiam and kube2iam, README.
 */
export const EKS_ROLE = 'eks.amazonaws.com/role-arn'
export const EKS_SKIPPED = 'eks.amazonaws.com/skip-containers'
export const KIAM_ROLE = 'iam.amazonaws.com/role'
/** What kiam and kube2iam let a Namespace permit. */
export const OF_NAMESPACES = [
  'iam.amazonaws.com/permitted',
  'iam.amazonaws.com/allowed-roles',
] as const
