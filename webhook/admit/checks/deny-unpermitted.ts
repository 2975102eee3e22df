import { DEFAULT_PERMITTED_DELIVERIES, TOKEN_DELIVERIES } from '../../../contract/delivery.ts'
import {
  CONTAINER_ROLES,
  PERMITTED_DELIVERIES,
  PERMITTED_ROLES,
  PERMITTED_SESSION_NAMES,
  ROLE_ARN,
  TARGET_ROLE_ARN,
} from '../../../contract/names.ts'
import { isNamespaced } from '../../../contract/session-name.ts'
import { partsOf } from '../../../contract/values.ts'
import type { InjectionRequest } from '../../../contract/wanted.ts'
import { permission } from '../../../shared/server/permission.ts'
import { rolesOfSlots } from '../inject/slots.ts'
import type { Pod } from '../pod.ts'
import { denied, type Denied } from '../verdict.ts'
import { CHANGED_BY, quoted, describeExpression } from '../wording.ts'
import { denyUnpermittedNames, type NameSettings } from './deny-unpermitted-names.ts'
import { denyUnpermittedTags } from './deny-unpermitted-tags.ts'
import type { PermissionFacts, PermittingNamespace } from './permission-facts.ts'

/**
 * Denies unless the namespace permits everything requested: first the roles, then delivery, session name and session
 * tags, then the names of the certificate.
 */
export function denyUnpermitted(
  facts: PermissionFacts,
  request: InjectionRequest,
  settings: NameSettings,
): Denied | undefined {
  return (
    denyRoles(facts, request) ??
    denyDelivery(facts, request) ??
    denySessionName(facts, request) ??
    denyUnpermittedTags(facts, request) ??
    denyUnpermittedNames(facts, request, settings)
  )
}

function denyRoles(
  facts: PermittingNamespace,
  { credentials }: InjectionRequest,
): Denied | undefined {
  if (credentials === undefined) return undefined
  const { role, target, containers } = credentials
  if (target === undefined && containers === undefined) return denyRole(facts, role.arn)
  const isOfContainer = containers?.others === 'nothing'
  const named = [
    ...rolesOfSlots(credentials).map(({ arn }, slot) => ({
      arn,
      key: slot === 0 && !isOfContainer ? ROLE_ARN : CONTAINER_ROLES,
    })),
    ...(target === undefined ? [] : [{ arn: target.role.arn, key: TARGET_ROLE_ARN }]),
  ]
  for (const { arn, key } of named) {
    const refusal = denyRole(facts, arn, ` of annotation ${key}`)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

/** @param which tells it from the pod's other role */
function denyRole(
  { namespace, namespaceAnnotations }: PermittingNamespace,
  arn: string,
  which = '',
): Denied | undefined {
  const expression = namespaceAnnotations?.[PERMITTED_ROLES]
  const permits = permission(expression)
  if (permits.valid && permits.permits(arn)) return undefined
  return denied(
    'role-not-permitted',
    `namespace "${namespace}" does not permit role ${arn}${which}: ${PERMITTED_ROLES} is ${describeExpression(expression, permits)}; ${CHANGED_BY}`,
    arn,
  )
}

/**
 * The token for STS is worth every role that trusts the ServiceAccount, so an app holds it only if the
 * Namespace permits that. A part of the annotation that is not a delivery permits nothing.
 */
function denyDelivery(
  { namespace, namespaceAnnotations, pod }: PermissionFacts,
  { credentials, exchanger }: InjectionRequest,
): Denied | undefined {
  if (credentials === undefined) return undefined
  const { delivery, role } = credentials
  const text = namespaceAnnotations?.[PERMITTED_DELIVERIES]
  const deliveries: readonly string[] =
    text === undefined ? DEFAULT_PERMITTED_DELIVERIES : partsOf(text)
  const isPermitted = deliveries.includes(delivery)
  const isTokenPermitted = TOKEN_DELIVERIES.some((one) => deliveries.includes(one))
  const isTokenReadable = exchanger === 'sidecar' && sharesProcesses(pod)
  if (isPermitted && (!isTokenReadable || isTokenPermitted)) return undefined
  const what = isPermitted
    ? `delivery ${TOKEN_DELIVERIES.join(' or ')}, and with shareProcessNamespace the other containers can read the token of the sidecar`
    : `delivery ${delivery}`
  const is =
    text === undefined
      ? `not set, which permits ${DEFAULT_PERMITTED_DELIVERIES.join(' and ')}`
      : quoted(text)
  return denied(
    'delivery-not-permitted',
    `namespace "${namespace}" does not permit ${what}: ${PERMITTED_DELIVERIES} is ${is}; ${CHANGED_BY}`,
    role.arn,
  )
}

/** True if processes of one container see those of another, and so can read their files through /proc. */
function sharesProcesses({ spec }: Pod): boolean {
  return spec.shareProcessNamespace === true
}

/** Otherwise one team's sessions could use another team's name in CloudTrail and `aws:userid`. */
function denySessionName(
  { namespace, namespaceAnnotations }: PermittingNamespace,
  { credentials }: InjectionRequest,
): Denied | undefined {
  if (credentials === undefined || isNamespaced(credentials.sessionName)) return undefined
  const { sessionName, role } = credentials
  const expression = namespaceAnnotations?.[PERMITTED_SESSION_NAMES]
  const permits = permission(expression)
  if (permits.valid && permits.permits(sessionName)) return undefined
  return denied(
    'session-name-not-permitted',
    `namespace "${namespace}" does not permit session name ${quoted(sessionName)}: it is neither {namespace} nor begins with {namespace}., and ${PERMITTED_SESSION_NAMES} is ${describeExpression(expression, permits)}; ${CHANGED_BY}`,
    role.arn,
  )
}
