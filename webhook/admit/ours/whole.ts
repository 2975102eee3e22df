import { AUTHORITY_VOLUME, TLS_VOLUME } from '../../../contract/certificates.ts'
import { CREDENTIALS_VOLUME, TOKEN_VOLUME } from '../../../contract/names.ts'
import type { Container, Volume, VolumeMount } from '../pod.ts'
import { certificateMount, certificateVolumes } from './certificate.ts'
import { credentialsMount, credentialsVolumes } from './credentials.ts'
import { sidecarTasks, type Injection } from './injection.ts'
import { sidecar } from './sidecar.ts'

/** Names that are ours alone: a pod that uses one for something else is not served. */
export const OUR_VOLUME_NAMES: readonly string[] = [
  TOKEN_VOLUME.name,
  CREDENTIALS_VOLUME.name,
  AUTHORITY_VOLUME.name,
  TLS_VOLUME.name,
]

/** The volumes that the pod gets. */
export function ourVolumes({ request, certificateDoor, trustBundle }: Injection): Volume[] {
  const { credentials, certificate } = request
  return [
    ...(credentials === undefined ? [] : credentialsVolumes(credentials)),
    ...(certificate === undefined
      ? []
      : certificateVolumes(certificate, certificateDoor, trustBundle)),
  ]
}

/** The sidecar that the pod gets, or none. */
export function ourSidecars(injection: Injection): Container[] {
  const tasks = sidecarTasks(injection)
  return tasks === undefined ? [] : [sidecar(tasks, injection)]
}

/** What the app's containers mount. */
export function appMounts({ request, certificateDoor }: Injection): VolumeMount[] {
  const { credentials, certificate } = request
  return [
    ...(credentials === undefined ? [] : [credentialsMount(credentials)]),
    ...(certificate === undefined ? [] : [certificateMount(certificateDoor)]),
  ]
}
