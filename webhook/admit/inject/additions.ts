import type { Container, Pod, Volume, VolumeMount } from '../pod.ts'
import { certificateMount, certificateVolumes } from './certificate.ts'
import { credentialsMount, credentialsVolumes } from './credentials.ts'
import { equalIgnoringNulls } from './equal.ts'
import { sidecarTasks, TRUST_BUNDLE_SOURCES, type Injection } from './injection.ts'
import { sidecar } from './sidecar.ts'

/** The volumes that the pod gets. */
export function injectedVolumes({ request, certificateSource, trustBundle }: Injection): Volume[] {
  const { credentials, certificate } = request
  return [
    ...(credentials === undefined ? [] : credentialsVolumes(credentials)),
    ...(certificate === undefined
      ? []
      : certificateVolumes(certificate, certificateSource, trustBundle)),
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

/** What the app's containers mount. */
export function appMounts({ request, certificateSource }: Injection): VolumeMount[] {
  const { credentials, certificate } = request
  return [
    ...(credentials === undefined ? [] : [credentialsMount(credentials)]),
    ...(certificate === undefined ? [] : [certificateMount(certificateSource)]),
  ]
}
