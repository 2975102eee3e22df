import {
  AnnotationError,
  quoted,
  type PodAnnotations,
  type ServiceAccountAnnotations,
} from './annotations.ts'
import { MAX_ROLES } from './container-roles.ts'
import { appHoldsToken, DEFAULT_PERMITTED_DELIVERIES, type Delivery } from './delivery.ts'
import { CONTAINER_ROLES, PREFIX, ROLE_ARN, TARGET_ROLE_ARN } from './names.ts'
import { parseRoleArn, roleBelow, type RoleArn } from './role-arn.ts'
import { MAX_CHAINED_SESSION_SECONDS } from './values.ts'
import type { InjectionDefaults, WantedCredentials, WantedTarget } from './wanted.ts'

/** Undefined if neither annotation names a role. */
export function rolesOf(
  either: ServiceAccountAnnotations & Pick<PodAnnotations, 'skip-containers'>,
  defaults: InjectionDefaults,
): Pick<WantedCredentials, 'role' | 'containers'> | undefined {
  const [ofOthers, ofContainers] = [either['role-arn'], either['container-roles']]
  const first = ofOthers === undefined ? undefined : resolveRole(ofOthers, ROLE_ARN, defaults)
  if (ofContainers === undefined) return first && { role: first, containers: undefined }
  const named = ofContainers.map(({ role }) => resolveRole(role, CONTAINER_ROLES, defaults))
  const [role, ...moreRoles] = first === undefined ? named : [first, ...named]
  if (role === undefined) return undefined
  refuseContainerRoles(either, [role, ...moreRoles])
  const before = first === undefined ? 0 : 1
  const slots = new Map(ofContainers.map(({ container }, index) => [container, index + before]))
  const others = first === undefined ? 'nothing' : 'slot-0'
  return { role, containers: { moreRoles, slots, others } }
}

/** Each role has credentials of its own, so a role that occurs twice is most likely a mistake. */
function refuseContainerRoles(
  either: ServiceAccountAnnotations & Pick<PodAnnotations, 'skip-containers'>,
  roles: readonly RoleArn[],
): void {
  const arns = roles.map(({ arn }) => arn)
  const twice = arns.find((arn, index) => arns.indexOf(arn) !== index)
  if (twice !== undefined) {
    throw conflict(
      `annotation ${CONTAINER_ROLES} names role ${twice} twice, or beside ${ROLE_ARN}; name each role once: containers that ${CONTAINER_ROLES} does not name share the role of ${ROLE_ARN}`,
    )
  }
  if (arns.length > MAX_ROLES) {
    throw conflict(
      `annotations ${ROLE_ARN} and ${CONTAINER_ROLES} name ${arns.length} roles; a pod may have at most ${MAX_ROLES}`,
    )
  }
  const [first] = roles
  const foreign = roles.find(({ partition }) => partition !== first?.partition)
  if (first !== undefined && foreign !== undefined) {
    throw conflict(
      `annotation ${CONTAINER_ROLES} names role ${foreign.arn} of partition ${foreign.partition}, but role ${first.arn} is of partition ${first.partition}; all roles of a pod must be of one partition, as one STS is asked for them`,
    )
  }
  const skipped = either['container-roles']?.find(({ container }) =>
    either['skip-containers']?.includes(container),
  )
  if (skipped === undefined) return
  throw conflict(
    `annotation ${CONTAINER_ROLES} gives a role to container ${quoted(skipped.container)}, which ${PREFIX}skip-containers excludes; remove it from one of them`,
  )
}

export function refuseWithContainers(either: ServiceAccountAnnotations): void {
  if (either['container-roles'] === undefined || either['target-role-arn'] === undefined) return
  throw conflict(
    `annotations ${CONTAINER_ROLES} and ${TARGET_ROLE_ARN} are set, but a target role is that of all containers; remove one of them`,
  )
}

/**
 * The role that a text names: a whole ARN, or the name of a role below the base of the flag.
 *
 * @param key of the annotation, for messages
 * @throws AnnotationError for a name without a base, or one that does not make a role ARN with it
 */
export function resolveRole(
  text: string,
  key: string,
  { baseRoleArn }: Pick<InjectionDefaults, 'baseRoleArn'>,
): RoleArn {
  const whole = parseRoleArn(text)
  if (whole !== undefined) return whole
  if (baseRoleArn === undefined) {
    throw conflict(
      `annotation ${key} is ${quoted(text)}, a name of a role, but the webhook has no --base-role-arn (baseRoleArn of nocreds-settings), below which names are; write the whole ARN, as in arn:aws:iam::111122223333:role/team-a/app`,
    )
  }
  const role = roleBelow(baseRoleArn, text)
  if (role !== undefined) return role
  throw new AnnotationError(
    'ERR_ANNOTATION_OUT_OF_BOUNDS',
    `annotation ${key} is ${quoted(text)}, which makes no valid role ARN with --base-role-arn ${baseRoleArn}; shorten it, or write the whole ARN`,
  )
}

const conflict = (message: string): AnnotationError =>
  new AnnotationError('ERR_ANNOTATION_CONFLICT', message)

/** Otherwise an app that was meant to have a role would start without any. */
export function refuseTargetAlone(either: ServiceAccountAnnotations): void {
  if (either['target-role-arn'] === undefined) return
  throw conflict(
    `annotation ${TARGET_ROLE_ARN} is set without ${ROLE_ARN}, with whose credentials the target role is assumed; add that annotation, or remove ${TARGET_ROLE_ARN}`,
  )
}

/** Annotations that only an exchanger acts on: with web-identity the app calls STS itself. */
const FOR_EXCHANGERS = [
  'container-roles',
  'target-role-arn',
  'external-id',
  'session-tags',
  'session-policy',
  'session-policy-arns',
] as const

export function refuseWithWebIdentity(either: ServiceAccountAnnotations, delivery: Delivery): void {
  if (!appHoldsToken(delivery)) return
  const key = FOR_EXCHANGERS.find((one) => either[one] !== undefined)
  if (key === undefined) return
  throw conflict(
    `annotation ${PREFIX}${key} is set, but delivery is ${delivery}, with which the app calls STS itself; remove the annotation, or set ${PREFIX}delivery to one of ${DEFAULT_PERMITTED_DELIVERIES.join(', ')}`,
  )
}

/** Annotations that say something of the second role. */
const OF_TARGET = ['external-id', 'session-tags'] as const

export function targetOf(
  either: ServiceAccountAnnotations,
  first: RoleArn,
): WantedTarget | undefined {
  const arn = either['target-role-arn']
  const role = arn === undefined ? undefined : parseRoleArn(arn)
  if (role === undefined) {
    const key = OF_TARGET.find((one) => either[one] !== undefined)
    if (key === undefined) return undefined
    throw conflict(
      `annotation ${PREFIX}${key} is set without ${PREFIX}target-role-arn, to which alone it applies; add that annotation, or remove ${PREFIX}${key}`,
    )
  }
  const seconds = either['session-duration'] ?? 0
  if (seconds > MAX_CHAINED_SESSION_SECONDS) {
    throw conflict(
      `annotation ${PREFIX}session-duration is ${seconds}, but with ${PREFIX}target-role-arn AWS allows at most ${MAX_CHAINED_SESSION_SECONDS} seconds; set it to ${MAX_CHAINED_SESSION_SECONDS} or less`,
    )
  }
  if (role.partition !== first.partition) {
    throw conflict(
      `annotation ${PREFIX}target-role-arn is ${quoted(role.arn)} of partition ${role.partition}, but the first role, ${first.arn}, is of partition ${first.partition}; both must be of one partition`,
    )
  }
  return { role, externalId: either['external-id'], tags: either['session-tags'] ?? [] }
}
