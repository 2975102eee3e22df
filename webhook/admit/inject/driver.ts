import { DRIVER_VOLUME, toAttributes } from '../../../contract/driver-volume.ts'
import type { Volume, VolumeMount } from '../pod.ts'
import { mountOf, type Injection, type Tasks } from './injection.ts'
import { moreRoleArns } from './slots.ts'
import { admittedTags } from './tags.ts'

/**
 * The volume by which the pod asks the driver of its node. The driver puts nothing into it: it writes to the volumes of
 * credentials and certificate. Source: Kubernetes API reference, CSIVolumeSource.
 */
export function driverVolume({ credentials, certificate }: Tasks, injection: Injection): Volume {
  const target = credentials?.target
  const volumeAttributes = toAttributes({
    credentials: credentials && {
      roleArn: credentials.role.arn,
      sessionDurationSeconds: credentials.sessionDurationSeconds,
      sessionName: credentials.sessionName,
      audience: credentials.audience,
      region: credentials.region,
      containerRoleArns: moreRoleArns(credentials),
      targetRoleArn: target?.role.arn,
      externalId: target?.externalId,
      sessionTags: target && admittedTags(target, injection),
      defaultSessionTags: target && (injection.hasDefaultTags ? 'true' : 'false'),
      sessionPolicy: credentials.sessionPolicy,
      sessionPolicyArns: credentials.sessionPolicyArns,
    },
    certificate,
  })
  return {
    name: DRIVER_VOLUME.name,
    csi: { driver: DRIVER_VOLUME.driver, readOnly: true, volumeAttributes },
  }
}

/** What the app's containers mount, because the kubelet skips a CSI volume that no container mounts. */
export const DRIVER_MOUNT: VolumeMount = mountOf(DRIVER_VOLUME, 'read')
