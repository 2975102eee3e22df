import type { WantedCredentials } from '../../../contract/annotations.ts'
import type { Exchanger } from '../../../contract/exchangers.ts'
import { CREDENTIALS_VOLUME, TOKEN_VOLUME } from '../../../contract/names.ts'
import type { Volume, VolumeMount } from '../pod.ts'
import { mountOf } from './injection.ts'

/**
 * The ServiceAccount token for STS, kept fresh by the kubelet.
 * Source: Kubernetes, "Launch a Pod using service account token projection".
 */
function tokenVolume(credentials: WantedCredentials): Volume {
  return {
    name: TOKEN_VOLUME.name,
    projected: {
      defaultMode: 0o644,
      sources: [
        {
          serviceAccountToken: {
            audience: credentials.audience,
            expirationSeconds: credentials.tokenExpirationSeconds,
            path: TOKEN_VOLUME.path,
          },
        },
      ],
    },
  }
}

/** Where the exchanger publishes: in memory, so nothing is left on a disk. */
function credentialsVolume(): Volume {
  return {
    name: CREDENTIALS_VOLUME.name,
    emptyDir: { medium: 'Memory', sizeLimit: CREDENTIALS_VOLUME.sizeLimit },
  }
}

const TOKEN_MOUNT = mountOf(TOKEN_VOLUME, 'read')
const CREDENTIALS_MOUNT = mountOf(CREDENTIALS_VOLUME, 'read')

/** What the sidecar mounts for credentials. */
export const CREDENTIALS_SIDECAR_MOUNTS: readonly VolumeMount[] = [
  TOKEN_MOUNT,
  mountOf(CREDENTIALS_VOLUME, 'write'),
]

/** Volumes of the delivery; web-identity needs only the token, and with the driver there is none in the pod. */
export function credentialsVolumes(credentials: WantedCredentials, exchanger: Exchanger): Volume[] {
  if (exchanger === 'driver') return [credentialsVolume()]
  const token = tokenVolume(credentials)
  return credentials.delivery === 'web-identity' ? [token] : [token, credentialsVolume()]
}

/** What the app's containers mount for credentials. */
export function credentialsMount({ delivery }: WantedCredentials): VolumeMount {
  return delivery === 'web-identity' ? TOKEN_MOUNT : CREDENTIALS_MOUNT
}
