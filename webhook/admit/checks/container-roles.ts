import {
  CONTAINER_ROLES,
  EXCHANGER,
  EXCHANGER_ANNOTATION,
  ROLE_ARN,
} from '../../../contract/names.ts'
import type { Injection } from '../inject/injection.ts'
import { slotNumberOf } from '../inject/slots.ts'
import { containersOf, type Pod } from '../pod.ts'
import { denied, type Denied } from '../verdict.ts'
import { quoted } from '../wording.ts'

/** Containers of a message. */
const NAMED = 20

/** Names of all containers but the exchanger. */
function namesIn(pod: Pod): readonly string[] {
  return containersOf(pod)
    .map(({ name }) => name)
    .filter((name) => name !== EXCHANGER.container)
}

/** A role for a container that does not exist is most likely a misspelled name, whose container would have another role. */
export function denyUnknownContainer(pod: Pod, { request }: Injection): Denied | undefined {
  const containers = request.credentials?.containers
  if (containers === undefined) return undefined
  const names = namesIn(pod)
  const unknown = [...containers.slots.keys()].find((name) => !names.includes(name))
  if (unknown === undefined) return undefined
  const listed = names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ', …' : '')
  const why =
    unknown === EXCHANGER.container
      ? 'which is the sidecar of nocreds'
      : 'which the pod does not have'
  return denied(
    'invalid-annotation',
    `annotation ${CONTAINER_ROLES} gives a role to container ${quoted(unknown)}, ${why}; the containers of the pod are ${listed}; name one of them, or remove the pair`,
  )
}

/**
 * The kubelet makes a volume only if a container mounts it, and the driver, other than the sidecar, mounts none: it would
 * wait for that of the first slot for ever.
 */
export function denyIdleSlot(pod: Pod, { request }: Injection): Denied | undefined {
  const { credentials, exchanger, skipContainers } = request
  if (exchanger !== 'driver' || credentials?.containers?.others !== 'slot-0') return undefined
  const isOfFirst = (name: string): boolean =>
    !skipContainers.includes(name) && slotNumberOf(name, credentials) === 0
  if (namesIn(pod).some(isOfFirst)) return undefined
  return denied(
    'invalid-annotation',
    `annotation ${CONTAINER_ROLES} gives a role to each container, so that no container has the role of ${ROLE_ARN}, which the driver does not serve then; remove ${ROLE_ARN}, or set ${EXCHANGER_ANNOTATION}: sidecar`,
  )
}
