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
    const made = await openInside(folder, MOUNT.name, settings) // a folder, and ours
    await made.handle.close()
  })
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
