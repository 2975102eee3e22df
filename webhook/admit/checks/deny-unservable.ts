import { DELIVERIES } from '../../../contract/delivery.ts'
import { CSI_DRIVER, EXCHANGER, PREFIX, SECRETS } from '../../../contract/names.ts'
import { TAG_LIMITS } from '../../../contract/session-tags.ts'
import { appMounts, injectedVolumes } from '../inject/additions.ts'
import { sessionNameExcess } from '../inject/deliveries.ts'
import { equalIgnoringNulls } from '../inject/equal.ts'
import { RESERVED_VOLUME_NAMES, sidecarTasks, type Injection } from '../inject/injection.ts'
import { bySlot } from '../inject/slots.ts'
import { tagExcess } from '../inject/tags.ts'
import { isAtOrBelow } from '../paths.ts'
import { containersOf, type Container, type Pod, type VolumeMount } from '../pod.ts'
import { denied, type Denied } from '../verdict.ts'
import { quoted } from '../wording.ts'
import { denyIdleSlot, denyUnknownContainer } from './container-roles.ts'
import { isForWindows } from './for-windows.ts'
import { usesReservedDriver } from './reserved-names.ts'

type Check = (pod: Pod, injection: Injection) => Denied | undefined

/** Denies a pod, all of whose requests are permitted, if nocreds cannot serve it. */
export function denyUnservable(pod: Pod, injection: Injection): Denied | undefined {
  for (const check of CHECKS) {
    const refusal = check(pod, injection)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

const CHECKS: readonly Check[] = [
  denyTooManyContainers,
  denyWindows,
  denyEndpointWithHostNetwork,
  denyLongSessionName,
  denyLongSessionTag,
  denyUnknownContainer,
  denyIdleSlot,
  denyForeignVolumes,
  denyForeignContainers,
  denyForeignMounts,
]

/** Each of them gets variables and mounts: 3 MiB of short containers would become a patch of over 100 MiB. */
const MAX_CONTAINERS = 500

function denyTooManyContainers(pod: Pod): Denied | undefined {
  const count = containersOf(pod).length
  if (count <= MAX_CONTAINERS) return undefined
  return denied(
    'invalid-object',
    `the pod has ${count} containers; allowed: ${MAX_CONTAINERS} in a pod that nocreds serves`,
  )
}

function denyWindows(pod: Pod): Denied | undefined {
  if (!isForWindows(pod)) return undefined
  return denied(
    'windows-pod',
    'the pod runs on Windows, which nocreds does not support; remove role-arn and certificate, or set nocreds.dev/inject: "false"',
  )
}

function denyEndpointWithHostNetwork(pod: Pod, { request }: Injection): Denied | undefined {
  const delivery = request.credentials?.delivery
  if (delivery === undefined || !DELIVERIES[delivery].needsOwnLoopback) return undefined
  if (pod.spec.hostNetwork !== true) return undefined
  return denied(
    'endpoint-with-host-network',
    `delivery "${delivery}" serves on loopback, which a pod with hostNetwork shares with its node; use nocreds.dev/delivery: process`,
  )
}

function denyLongSessionName(pod: Pod, injection: Injection): Denied | undefined {
  const excess = sessionNameExcess(injection, pod)
  if (excess === 0) return undefined
  return denied(
    'session-name-too-long',
    `nocreds.dev/session-name "${injection.request.credentials?.sessionName ?? ''}" is ${excess} characters too long for STS (64) with a generated pod name; shorten it, or use delivery process or endpoint, where it is cut`,
  )
}

function denyLongSessionTag(pod: Pod, injection: Injection): Denied | undefined {
  const target = injection.request.credentials?.target
  if (target === undefined) return undefined
  const excess = tagExcess(target, injection, pod)
  if (excess === undefined) return undefined
  const { tag, characters } = excess
  const [what, bound] =
    tag === undefined
      ? ['all tags together are', `${TAG_LIMITS.text} characters in all`]
      : [
          `the value of ${quoted(tag)} is`,
          `${TAG_LIMITS.value} characters, with a generated pod name`,
        ]
  return denied(
    'session-tag-too-long',
    `${PREFIX}session-tags: with its placeholders filled in, ${what} ${characters} characters too long; allowed: ${bound}; shorten it`,
  )
}

/** A volume with a reserved name must be one that this pod gets; inject() then writes its content. */
function denyForeignVolumes(pod: Pod, injection: Injection): Denied | undefined {
  const wanted = injectedVolumes(injection).map(({ name }) => name)
  const foreign = pod.spec.volumes?.find(
    (volume) =>
      !wanted.includes(volume.name) &&
      (usesReservedDriver(volume) || RESERVED_VOLUME_NAMES.includes(volume.name)),
  )
  if (foreign === undefined) return undefined
  return denied(
    'foreign-volume',
    usesReservedDriver(foreign)
      ? `the pod brings volume ${foreign.name} of CSI driver ${CSI_DRIVER} that nocreds did not write; remove it`
      : `the pod brings a volume named ${foreign.name}, a name reserved for nocreds, which does not add such a volume to this pod; remove or rename it`,
  )
}

/** At most one container has the reserved name, and it is an init container; inject() then writes its content. */
function denyForeignContainers(pod: Pod, injection: Injection): Denied | undefined {
  const named = containersOf(pod).filter(({ name }) => name === EXCHANGER.container)
  const why = whyForeign(named, pod, injection)
  if (why === undefined) return undefined
  return denied(
    'foreign-container',
    `the pod brings a container named ${EXCHANGER.container}, ${why}; that name is reserved for the sidecar of nocreds, which the webhook adds automatically: remove the container, or rename it if it is yours; if another webhook added it, exclude ${EXCHANGER.container} in that webhook`,
  )
}

function whyForeign(
  [first, ...more]: readonly Container[],
  { spec }: Pod,
  injection: Injection,
): string | undefined {
  if (first === undefined) return undefined
  if (sidecarTasks(injection) === undefined) return 'which this pod does not get'
  if (more.length > 0) return 'more than once'
  return spec.initContainers?.includes(first) === true
    ? undefined
    : 'which must be an init container'
}

/**
 * Containers beside the sidecar mount the volumes of nocreds only as nocreds does, and mount nothing else at or below
 * its folder, however the path is spelled: a file there would be read instead of the injected one.
 */
function denyForeignMounts(pod: Pod, injection: Injection): Denied | undefined {
  const mountsOf = bySlot(injection.request.credentials, (slot) => appMounts(injection, slot))
  const isInjected = (one: VolumeMount, { name }: Container): boolean =>
    mountsOf(name).some((mount) => equalIgnoringNulls(one, mount))
  const isReserved = (one: VolumeMount): boolean =>
    RESERVED_VOLUME_NAMES.includes(one.name) || isAtOrBelow(one.mountPath, SECRETS)
  for (const container of containersOf(pod)) {
    if (container.name === EXCHANGER.container) continue
    const foreign = container.volumeMounts?.find(
      (one) => isReserved(one) && !isInjected(one, container),
    )
    if (foreign === undefined) continue
    return denied(
      'foreign-volume',
      `container ${container.name} mounts ${foreign.name} at ${foreign.mountPath}: only the webhook adds mounts of volumes and paths of nocreds; remove the mount`,
    )
  }
  return undefined
}
