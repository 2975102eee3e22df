import { codeOf } from '../../shared/base/errors.ts'
import type { Target } from '../target.ts'
import { ensureInside, openInside, removeInside, within } from './folder.ts'
import { unlessGone, type VolumeSettings } from './volume.ts'

/** What the kubelet mounts into the pod for the CSI volume: nothing is in it. */
const MOUNT = { name: 'mount', mode: 0o755 } as const

/**
 * Makes the empty folder that a publish must leave at target_path. The kubelet made the one around it.
 *
 * @throws DriverError
 */
export function makeMountFolder(target: Target, settings: VolumeSettings): Promise<void> {
  return within(settings.podsFolder, namesOf(target), settings, async (folder) => {
    await ensureInside(folder, MOUNT.name, MOUNT.mode)
    const made = await openInside(folder, MOUNT.name, settings) // a folder, and the driver's own
    await made.handle.close()
  })
}

/** Whether it is there: the volume was published before. @throws DriverError if it is not a folder of the driver */
export async function hasMountFolder(target: Target, settings: VolumeSettings): Promise<boolean> {
  const names = [...namesOf(target), MOUNT.name]
  try {
    return await within(settings.podsFolder, names, settings, () => Promise.resolve(true))
  } catch (error) {
    if (codeOf(error) === 'ERR_VOLUME_NOT_READY') return false
    throw error
  }
}

/** Removes it again; does nothing if there is none. @throws DriverError if something is in it */
export function removeMountFolder(target: Target, settings: VolumeSettings): Promise<void> {
  return unlessGone(
    within(settings.podsFolder, namesOf(target), settings, (folder) =>
      removeInside(folder, MOUNT.name),
    ),
  )
}

function namesOf({ podUid, volume }: Target): string[] {
  return [podUid, 'volumes', 'kubernetes.io~csi', volume]
}
