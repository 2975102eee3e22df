import { PREFIX } from '../../../contract/names.ts'

/** Hint for `MalformedPolicyDocument` if a session policy was sent. */
export function malformedSessionPolicy(): string {
  return (
    `IAM does not accept ${PREFIX}session-policy as a policy: check it with ` +
    `aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY.`
  )
}

/** Hint for `PackedPolicyTooLarge`. Source: STS API reference, AssumeRole, PackedPolicySize. */
export function policiesTooLarge({ hasTags }: { readonly hasTags: boolean }): string {
  if (!hasTags) {
    return (
      `The session policies are larger than STS packs into a session: shorten ${PREFIX}session-policy, ` +
      `or list fewer ARNs in ${PREFIX}session-policy-arns.`
    )
  }
  return (
    `Session policies and session tags together are larger than STS packs into a session: shorten ` +
    `${PREFIX}session-policy or ${PREFIX}session-tags, list fewer ARNs in ${PREFIX}session-policy-arns, or set ` +
    `${PREFIX}default-session-tags of the Namespace to "false".`
  )
}
