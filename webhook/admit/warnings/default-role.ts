import { DEFAULT_ROLE_ARN, PERMITTED_ROLES } from '../../../contract/names.ts'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import { permission } from '../../../shared/server/permission.ts'
import { describeExpression, quoted } from '../wording.ts'

/**
 * Of a pod that names no role and cannot have that of its Namespace.
 *
 * @param why it was refused with it
 */
export function warningWithoutDefaultRole(role: string, why: string): string {
  return `nocreds: the pod is admitted without role ${quoted(role)}, which ${DEFAULT_ROLE_ARN} of its Namespace gives to pods that name none: ${why}`
}

/** Of a Namespace that does not permit its own default role. Below which ARN a name is, is known at the pod. */
export function defaultRoleWarnings(
  annotations: Readonly<Record<string, string>> | null | undefined,
): readonly string[] {
  const role = parseRoleArn(annotations?.[DEFAULT_ROLE_ARN] ?? '')
  if (role === undefined) return []
  const expression = annotations?.[PERMITTED_ROLES]
  const permits = permission(expression)
  if (permits.valid && permits.permits(role.arn)) return []
  return [
    `nocreds: no pod gets role ${quoted(role.arn)} of ${DEFAULT_ROLE_ARN}: ${PERMITTED_ROLES} is ${describeExpression(expression, permits)}, which does not permit it`,
  ]
}
