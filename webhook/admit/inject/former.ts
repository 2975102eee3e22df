import { AUTHORITY_VOLUME } from '../../../contract/certificates.ts'
import { DRIVER_VOLUME } from '../../../contract/driver-volume.ts'
import { EXCHANGER, TOKEN_VOLUME } from '../../../contract/names.ts'
import { containersOf, type Container, type Pod, type Volume } from '../pod.ts'
import { DRIVER_MOUNT } from './driver.ts'
import { equalIgnoringNulls } from './equal.ts'
import { driverTasks, sidecarTasks, type Injection } from './injection.ts'

/** A pod without what its former exchanger needed. */
export interface Converted {
  readonly pod: Pod
  /** What was removed, in words; empty if the pod is as it was, by reference. */
  readonly removed: readonly string[]
}

/**
 * A pod from a backup that the sidecar served, where the driver is to serve it now, or the other way round. What only the
 * former exchanger needed is removed, whatever it contains: nothing becomes possible by that. All else is left to the
 * checks, such as an app that mounts the token.
 */
export function withoutFormerExchanger(pod: Pod, injection: Injection): Converted {
  if (driverTasks(injection) !== undefined) return withoutSidecar(pod)
  if (sidecarTasks(injection) !== undefined) return withoutDriver(pod)
  return { pod, removed: [] }
}

/** Volumes that the sidecar alone mounts. */
const OF_SIDECAR: readonly string[] = [TOKEN_VOLUME.name, AUTHORITY_VOLUME.name]

/** A container or a volume alone is not what nocreds wrote: the checks deny it. */
function withoutSidecar(pod: Pod): Converted {
  const { initContainers, volumes } = pod.spec
  const [sidecar, ...more] = containersOf(pod).filter(({ name }) => name === EXCHANGER.container)
  if (sidecar === undefined || more.length > 0) return { pod, removed: [] }
  if (initContainers?.includes(sidecar) !== true) return { pod, removed: [] }
  const isOfSidecar = ({ name }: Volume): boolean => OF_SIDECAR.includes(name)
  return {
    pod: {
      ...pod,
      spec: {
        ...pod.spec,
        initContainers: initContainers.filter((one) => one !== sidecar),
        ...(volumes ? { volumes: volumes.filter((one) => !isOfSidecar(one)) } : {}),
      },
    },
    removed: [`container ${sidecar.name}`, ...inWords(volumes?.filter(isOfSidecar) ?? [])],
  }
}

function withoutDriver(pod: Pod): Converted {
  const { initContainers, containers, volumes } = pod.spec
  const isOfDriver = ({ name, csi }: Volume): boolean =>
    name === DRIVER_VOLUME.name && csi?.driver === DRIVER_VOLUME.driver
  const found = volumes?.filter(isOfDriver) ?? []
  if (found.length !== 1) return { pod, removed: [] }
  return {
    pod: {
      ...pod,
      spec: {
        ...pod.spec,
        ...(initContainers ? { initContainers: initContainers.map(withoutDriverMount) } : {}),
        containers: containers.map(withoutDriverMount),
        volumes: volumes?.filter((one) => !isOfDriver(one)),
      },
    },
    removed: inWords(found),
  }
}

/** A mount of another form was not written by nocreds: it stays, and is denied. */
function withoutDriverMount(container: Container): Container {
  const { volumeMounts } = container
  const kept = volumeMounts?.filter((one) => !equalIgnoringNulls(one, DRIVER_MOUNT))
  return kept?.length === volumeMounts?.length ? container : { ...container, volumeMounts: kept }
}

function inWords(volumes: readonly Volume[]): string[] {
  return volumes.map(({ name }) => `volume ${name}`)
}
