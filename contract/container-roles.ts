import { CREDENTIALS_VOLUME, ENDPOINT } from './names.ts'
import { roleOrName, type ValueKind } from './values.ts'

/** The role of one container of a pod, as an annotation names it. */
export interface ContainerRole {
  readonly container: string
  /** An ARN, or the name of a role below the base of the webhook. */
  readonly role: string
}

/** Roles that one pod may have, whichever annotation names them. */
export const MAX_ROLES = 8

/** Source: Kubernetes, "Object Names and IDs", DNS label names. */
const CONTAINER = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** `app=ARN backup=ARN`, separated by blanks or line breaks. */
// An exchanger knows no annotations: the kind stays out of its bundle.
export const containerRoles: ValueKind<readonly ContainerRole[]> = /* @__PURE__ */ kindOfPairs()

function kindOfPairs(): ValueKind<readonly ContainerRole[]> {
  return {
    allowed: `at most ${MAX_ROLES} pairs CONTAINER=ROLE, separated by blanks or line breaks, each container and each role once; ROLE is ${roleOrName.allowed}`,
    parse(text) {
      const pairs = text
        .split(/\s+/)
        .filter((one) => one !== '')
        .map(pairOf)
      const isOnce = (values: readonly string[]): boolean => new Set(values).size === values.length
      const isAllowed =
        pairs.length > 0 &&
        pairs.length <= MAX_ROLES &&
        pairs.every(
          ({ container, role }) =>
            CONTAINER.test(container) && roleOrName.parse(role) !== undefined,
        ) &&
        isOnce(pairs.map(({ container }) => container)) &&
        isOnce(pairs.map(({ role }) => role))
      return isAllowed ? pairs : undefined
    },
    format: (pairs) => pairs.map(({ container, role }) => `${container}=${role}`).join(' '),
  }
}

/** Names of roles may have `=`, names of containers not. */
function pairOf(text: string): ContainerRole {
  const at = text.indexOf('=')
  return { container: text.slice(0, Math.max(0, at)), role: text.slice(at + 1) }
}

/** Where the credentials of one role of a pod are: no container reaches those of another role. */
export interface CredentialsSlot {
  /** Volume that the containers of that role mount, all at the same path. */
  readonly volume: string
  /** Where the exchanger in the pod publishes them. */
  readonly folder: string
  /** Path at the endpoint. */
  readonly endpointPath: string
}

/**
 * The slot of a role; those of a pod are numbered from 0, and a pod with one role has slot 0 alone.
 *
 * @param index 0 to {@link MAX_ROLES} - 1
 * @param folder that of slot 0
 */
export function slotOf(
  index: number,
  folder: string = CREDENTIALS_VOLUME.mountPath,
): CredentialsSlot {
  const { name } = CREDENTIALS_VOLUME
  if (index === 0) return { volume: name, folder, endpointPath: ENDPOINT.path }
  return {
    volume: `${name}-${index}`,
    folder: `${folder}-${index}`,
    endpointPath: `${ENDPOINT.path}/${index}`,
  }
}

/** The roles of a pod, as an exchanger is told them. */
export interface PodRoles {
  readonly roleArn: string
  readonly containerRoleArns: readonly string[] | undefined
  readonly targetRoleArn: string | undefined
}

/**
 * What each slot of a pod is for, as if its role were the only one of the pod.
 *
 * @param folder that of slot 0
 */
export function slotsOf<Wanted extends Pick<PodRoles, 'roleArn' | 'containerRoleArns'>>(
  wanted: Wanted,
  folder?: string,
): readonly { readonly slot: CredentialsSlot; readonly wanted: Wanted }[] {
  const { roleArn: first, containerRoleArns = [] } = wanted
  return [first, ...containerRoleArns].map((roleArn, index) => ({
    slot: slotOf(index, folder),
    wanted: { ...wanted, roleArn, containerRoleArns: undefined },
  }))
}

/**
 * Why these roles cannot be those of one pod, with the names by which an exchanger is told them; undefined if they can. The
 * webhook refuses the same. Two slots with one role would be one and the same for what pods share.
 */
export function conflictOf(
  { roleArn, containerRoleArns, targetRoleArn }: PodRoles,
  names: Readonly<Record<keyof PodRoles, string>>,
): string | undefined {
  if (containerRoleArns === undefined) return undefined
  if (targetRoleArn !== undefined) {
    return `${names.containerRoleArns} and ${names.targetRoleArn} are both set, but a target role is that of all containers; remove one of them`
  }
  if (!containerRoleArns.includes(roleArn)) return undefined
  return `${names.containerRoleArns} has ${roleArn}, which is also ${names.roleArn}; each role is named once`
}
