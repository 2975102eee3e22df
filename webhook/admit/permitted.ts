import { isAuthorityName } from '../../contract/certificates.ts'
import { isOwnName } from '../../contract/dns-names.ts'
import type { InjectionRequest } from '../../contract/annotations.ts'
import { PERMITTED_DNS_NAMES, PERMITTED_ROLES } from '../../contract/names.ts'
import { permission, type Permission } from '../../service/permission.ts'
import { denied, type Denied } from './verdict.ts'

/** The namespace of a pod, as far as it permits something. */
export interface PermittingNamespace {
  readonly namespace: string
  /** Undefined where the apiserver knows no such Namespace. */
  readonly namespaceAnnotations: Readonly<Record<string, string>> | undefined
}

/** Whether the namespace permits all that is asked for: the role first, then the names. */
export function permitted(
  from: PermittingNamespace,
  request: InjectionRequest,
): Denied | undefined {
  return roleDenied(from, request) ?? nameDenied(from, request)
}

function roleDenied(
  { namespace, namespaceAnnotations }: PermittingNamespace,
  { credentials }: InjectionRequest,
): Denied | undefined {
  if (credentials === undefined) return undefined
  const { arn } = credentials.role
  const expression = namespaceAnnotations?.[PERMITTED_ROLES]
  const permits = permission(expression)
  if (permits.valid && permits.permits(arn)) return undefined
  return denied(
    'role-not-permitted',
    `namespace "${namespace}" does not permit role ${arn}: ${PERMITTED_ROLES} is ${shown(expression, permits)}`,
    arn,
  )
}

/** The namespace's own names need no permission. The authority decides the same once more. */
function nameDenied(
  { namespace, namespaceAnnotations }: PermittingNamespace,
  { credentials, certificate }: InjectionRequest,
): Denied | undefined {
  if (certificate === undefined || certificate.dnsNames.length === 0) return undefined
  const expression = namespaceAnnotations?.[PERMITTED_DNS_NAMES]
  const permits = permission(expression)
  const mayHave = (name: string): boolean =>
    !isAuthorityName(name) &&
    (isOwnName(name, namespace) || (permits.valid && permits.permits(name)))
  const refused = certificate.dnsNames.find((name) => !mayHave(name))
  if (refused === undefined) return undefined
  const why = isAuthorityName(refused)
    ? 'it is a name of the authority of nocreds'
    : `it is not the name of a Service of it, and ${PERMITTED_DNS_NAMES} is ${shown(expression, permits)}`
  return denied(
    'name-not-permitted',
    `namespace "${namespace}" does not permit name ${refused} for certificates: ${why}`,
    credentials?.role.arn,
  )
}

function shown(expression: string | undefined, permits: Permission): string {
  const is = expression === undefined ? 'not set' : JSON.stringify(expression)
  return permits.valid ? is : `${is} (not a valid RE2 expression: ${permits.why})`
}
