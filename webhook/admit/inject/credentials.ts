import { DELIVERIES, hasSidecar } from '../../../contract/delivery.ts'
import type { Exchanger } from '../../../contract/exchangers.ts'
import { CREDENTIALS_VOLUME, TOKEN_VOLUME } from '../../../contract/names.ts'
import type { WantedCredentials } from '../../../contract/wanted.ts'
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

/** Volumes of the delivery; without an exchanger in the pod or on the node, nothing is published. */
export function credentialsVolumes(credentials: WantedCredentials, exchanger: Exchanger): Volume[] {
  if (exchanger === 'driver') return [credentialsVolume()]
  const token = tokenVolume(credentials)
  return hasSidecar(credentials.delivery) ? [token, credentialsVolume()] : [token]
}

const APP_MOUNTS = { token: TOKEN_MOUNT, credentials: CREDENTIALS_MOUNT } as const

/** What the app's containers mount for credentials. */
export function credentialsMount({ delivery }: WantedCredentials): VolumeMount {
  return APP_MOUNTS[DELIVERIES[delivery].appMount]
}
