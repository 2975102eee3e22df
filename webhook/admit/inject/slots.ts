import { MAX_ROLES, slotOf, type CredentialsSlot } from '../../../contract/container-roles.ts'
import type { RoleArn } from '../../../contract/role-arn.ts'
import type { WantedCredentials } from '../../../contract/wanted.ts'

type OfPod = WantedCredentials | undefined

/** The roles of the slots, in their order; see contract/container-roles.ts. */
export function rolesOfSlots({ role, containers }: WantedCredentials): readonly RoleArn[] {
  return containers === undefined ? [role] : [role, ...containers.moreRoles]
}

/** ARNs of the slots from 1 on, as exchangers are told them; undefined if there is no such slot. */
export function moreRoleArns({ containers }: WantedCredentials): readonly string[] | undefined {
  if (containers === undefined || containers.moreRoles.length === 0) return undefined
  return containers.moreRoles.map(({ arn }) => arn)
}

/** Every slot that a pod may have; made once, because each admission needs them. */
export const SLOTS: readonly CredentialsSlot[] = Array.from({ length: MAX_ROLES }, (_, index) =>
  slotOf(index),
)

/** What each slot that the exchanger fills needs, of a list with an element for every slot. */
export function ofSlots<T>(all: readonly T[], { containers }: WantedCredentials): readonly T[] {
  return all.slice(0, 1 + (containers?.moreRoles.length ?? 0))
}

/**
 * Number of the slot that a container has; undefined: it gets no credentials.
 *
 * @param name of the container
 */
export function slotNumberOf(name: string, credentials: OfPod): number | undefined {
  if (credentials?.containers === undefined) return credentials && 0
  const { slots, others } = credentials.containers
  return slots.get(name) ?? (others === 'slot-0' ? 0 : undefined)
}

/**
 * What containers get, by their names: made once for each slot, and once for containers without credentials.
 *
 * @param make gets the number of the slot
 */
export function bySlot<T>(
  credentials: OfPod,
  make: (slot: number | undefined) => T,
): (name: string) => T {
  if (credentials?.containers === undefined) {
    const ofAll = make(credentials && 0)
    return () => ofAll
  }
  const made = new Map<number | undefined, T>()
  return (name) => {
    const slot = slotNumberOf(name, credentials)
    const found = made.get(slot)
    if (found !== undefined) return found
    const one = make(slot)
    made.set(slot, one)
    return one
  }
}
