/** Test double, part of the embedded STS: the policies of a role and of its target, as docs/roles.md has them. Never shipped. */
import type { PermissionStatement } from './policy.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** What the first role may do: assume the target, with tags. */
export function mayAssume(targetArn: string): PermissionStatement {
  return { Effect: 'Allow', Action: ['sts:AssumeRole', 'sts:TagSession'], Resource: targetArn }
}

/** What the target trusts: the first role, with tags, and if it has the external ID. */
export function targetTrust(sourceArn: string, externalId?: string): TrustPolicy {
  const Principal = { AWS: sourceArn }
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal,
        Action: 'sts:AssumeRole',
        ...(externalId === undefined
          ? {}
          : { Condition: { StringEquals: { 'sts:ExternalId': externalId } } }),
      },
      { Effect: 'Allow', Principal, Action: 'sts:TagSession' },
    ],
  }
}
