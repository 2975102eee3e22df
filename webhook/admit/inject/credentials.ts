import type { CredentialsSlot } from '../../../contract/container-roles.ts'
import { DELIVERIES, hasSidecar } from '../../../contract/delivery.ts'
import type { Exchanger } from '../../../contract/exchangers.ts'
import { CREDENTIALS_VOLUME, TOKEN_VOLUME } from '../../../contract/names.ts'
import type { WantedCredentials } from '../../../contract/wanted.ts'
import type { Volume, VolumeMount } from '../pod.ts'
import { mountOf } from './injection.ts'
import { ofSlots, SLOTS } from './slots.ts'

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
function credentialsVolume({ volume }: CredentialsSlot): Volume {
  return {
    name: volume,
    emptyDir: { medium: 'Memory', sizeLimit: CREDENTIALS_VOLUME.sizeLimit },
  }
}

const TOKEN_MOUNT = mountOf(TOKEN_VOLUME, 'read')

/** For each slot; the app finds its credentials at the same path, whichever it has. */
const CREDENTIALS_MOUNTS: readonly VolumeMount[] = SLOTS.map(({ volume }) =>
  mountOf({ name: volume, mountPath: CREDENTIALS_VOLUME.mountPath }, 'read'),
)

/** The same for the sidecar, which writes to a folder for each. */
const WRITTEN_MOUNTS: readonly VolumeMount[] = SLOTS.map(({ volume, folder }) =>
  mountOf({ name: volume, mountPath: folder }, 'write'),
)

/** What the sidecar mounts for credentials. */
export function credentialsSidecarMounts(credentials: WantedCredentials): VolumeMount[] {
  return [TOKEN_MOUNT, ...ofSlots(WRITTEN_MOUNTS, credentials)]
}

/** Volumes of the delivery; without an exchanger in the pod or on the node, nothing is published. */
export function credentialsVolumes(credentials: WantedCredentials, exchanger: Exchanger): Volume[] {
  const isPublished = exchanger === 'driver' || hasSidecar(credentials.delivery)
  return [
    ...(exchanger === 'driver' ? [] : [tokenVolume(credentials)]),
    ...(isPublished ? ofSlots(SLOTS, credentials).map(credentialsVolume) : []),
  ]
}

/** What the app's containers with a slot mount for credentials. */
export function credentialsMounts({ delivery }: WantedCredentials, slot: number): VolumeMount[] {
  const { appMount } = DELIVERIES[delivery]
  const mount = appMount === 'token' ? TOKEN_MOUNT : CREDENTIALS_MOUNTS[slot]
  return mount === undefined ? [] : [mount]
}
