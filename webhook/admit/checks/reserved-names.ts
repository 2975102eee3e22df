import { CERTIFICATE, CSI_DRIVER, EXCHANGER, PREFIX, ROLE_ARN } from '../../../contract/names.ts'
import { RESERVED_VOLUME_NAMES } from '../inject/injection.ts'
import { containersOf, type Pod, type Volume } from '../pod.ts'
import { denied, type Denied } from '../verdict.ts'

/** Why a pod gets nothing: it says so itself, or neither it nor its ServiceAccount asks for anything. */
type WithoutRequest = 'opted-out' | 'no-role'

const WHY: Readonly<Record<WithoutRequest, string>> = {
  'opted-out': `is opted out by ${PREFIX}inject: "false"`,
  'no-role': `asks for nothing: neither it nor its ServiceAccount has ${ROLE_ARN}, or ${CERTIFICATE}: "true"`,
}

const RESTORE: Readonly<Record<WithoutRequest, string>> = {
  'opted-out': `take ${PREFIX}inject away`,
  'no-role': 'restore the annotations of its Namespace and ServiceAccount first',
}

/**
 * A pod that gets nothing may bring nothing of our names along either: a hand-made exchanger is as good
 * as ours to anyone who reads its volumes.
 */
export function denyReservedNames(pod: Pod, reason: WithoutRequest): Denied | undefined {
  const brought = reservedNameIn(pod)
  if (brought === undefined) return undefined
  return denied(
    'reserved-name',
    `the pod brings ${brought}, which is reserved for nocreds, but it ${WHY[reason]}; remove that from the pod, or, to restore a pod that nocreds served, ${RESTORE[reason]}`,
  )
}

/** What of our names a pod brings, in words; undefined where it brings nothing. */
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

/** True for a volume that our CSI driver would fill. */
export function usesReservedDriver({ csi }: Volume): boolean {
  return csi?.driver === CSI_DRIVER
}
