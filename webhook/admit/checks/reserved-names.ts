import { CERTIFICATE, CSI_DRIVER, EXCHANGER, PREFIX, ROLE_ARN } from '../../../contract/names.ts'
import { RESERVED_VOLUME_NAMES } from '../inject/injection.ts'
import { containersOf, type Pod, type Volume } from '../pod.ts'
import { denied, type Denied } from '../verdict.ts'

/** Why a pod gets nothing: it is opted out, or neither it nor its ServiceAccount requests anything. */
type WithoutRequest = 'opted-out' | 'no-role'

const WHY: Readonly<Record<WithoutRequest, string>> = {
  'opted-out': `is opted out by ${PREFIX}inject: "false"`,
  'no-role': `requests nothing: neither it nor its ServiceAccount has ${ROLE_ARN}, or ${CERTIFICATE}: "true"`,
}

const RESTORE: Readonly<Record<WithoutRequest, string>> = {
  'opted-out': `remove ${PREFIX}inject`,
  'no-role': 'restore the annotations of its Namespace and ServiceAccount first',
}

/**
 * A pod that gets nothing must not use reserved names either: the volumes of a hand-made exchanger hold the
 * same secrets.
 */
export function denyReservedNames(pod: Pod, reason: WithoutRequest): Denied | undefined {
  const found = reservedNameIn(pod)
  if (found === undefined) return undefined
  return denied(
    'reserved-name',
    `the pod brings ${found}, which is reserved for nocreds, but it ${WHY[reason]}; remove that from the pod, or, to restore a pod that nocreds served, ${RESTORE[reason]}`,
  )
}

/** The first use of a reserved name in a pod, in words; undefined if absent. */
export function reservedNameIn(pod: Pod): string | undefined {
  const names = [...containersOf(pod), ...(pod.spec.ephemeralContainers ?? [])]
  if (names.some(({ name }) => name === EXCHANGER.container)) {
    return `a container named ${EXCHANGER.container}`
  }
  const named = pod.spec.volumes?.find(({ name }) => RESERVED_VOLUME_NAMES.includes(name))
  if (named !== undefined) return `a volume named ${named.name}`
  const driven = pod.spec.volumes?.find(usesReservedDriver)
  return driven === undefined ? undefined : `the volume ${driven.name} of CSI driver ${CSI_DRIVER}`
}

/** True for a volume of the CSI driver reserved for nocreds. */
export function usesReservedDriver({ csi }: Volume): boolean {
  return csi?.driver === CSI_DRIVER
}
