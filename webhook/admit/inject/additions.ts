import type { Container, Pod, Volume, VolumeMount } from '../pod.ts'
import { certificateMount, certificateVolumes } from './certificate.ts'
import { credentialsMounts, credentialsVolumes } from './credentials.ts'
import { DRIVER_MOUNT, driverVolume } from './driver.ts'
import { equalIgnoringNulls } from './equal.ts'
import { driverTasks, sidecarTasks, TRUST_BUNDLE_SOURCES, type Injection } from './injection.ts'
import { sidecar } from './sidecar.ts'

/** The volumes that the pod gets. */
export function injectedVolumes(injection: Injection): Volume[] {
  const { credentials, certificate, exchanger } = injection.request
  const driven = driverTasks(injection)
  return [
    ...(credentials === undefined ? [] : credentialsVolumes(credentials, exchanger)),
    ...(certificate === undefined ? [] : certificateVolumes(certificate, injection)),
    ...(driven === undefined ? [] : [driverVolume(driven, injection)]),
  ]
}

/** While replicas with different flags run, one may have put in the other source of the trust bundle. */
export function isInjectedVolume(volume: Volume, injection: Injection): boolean {
  return TRUST_BUNDLE_SOURCES.some((trustBundle) =>
    injectedVolumes({ ...injection, trustBundle }).some(
      (one) => one.name === volume.name && equalIgnoringNulls(volume, one),
    ),
  )
}

/** The sidecar that the pod gets; undefined if it needs none. */
export function injectedContainer(injection: Injection, pod: Pod): Container | undefined {
  const tasks = sidecarTasks(injection)
  return tasks && sidecar(tasks, injection, pod)
}

/** What the app's containers with this slot mount. */
export function appMounts(injection: Injection, slot: number | undefined): VolumeMount[] {
  const { request, certificateSource } = injection
  const { credentials, certificate } = request
  const driven = driverTasks(injection)
  const isDriven = (slot !== undefined && driven !== undefined) || driven?.certificate !== undefined
  return [
    ...(credentials === undefined || slot === undefined
      ? []
      : credentialsMounts(credentials, slot)),
    ...(certificate === undefined ? [] : [certificateMount(certificateSource)]),
    ...(isDriven ? [DRIVER_MOUNT] : []),
  ]
}
