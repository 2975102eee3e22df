import type { Stats } from 'node:fs'
import { lstat, statfs } from 'node:fs/promises'
import { TLS_VOLUME } from '../../contract/certificates.ts'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { sleepUnless, type Clock } from '../../shared/base/clock.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { DriverError } from '../errors.ts'
import type { UniqueName } from './file.ts'
import { entry, openInside, within, type Folder, type FolderRules } from './folder.ts'

/** An emptyDir of a pod, with medium Memory. */
export interface Volume {
  readonly podUid: string
  readonly name: string
}

export interface VolumeSettings extends FolderRules {
  /** `<kubelet>/pods`, as this process sees it; only root may write in it. */
  readonly podsFolder: string
  readonly uniqueName: UniqueName
  /** {@link isTmpfsMount}, but for tests that may not mount. */
  readonly isMemoryMount: (volume: Folder, parent: Folder) => Promise<boolean>
}

/** How long to wait for the kubelet. */
export interface Patience {
  readonly clock: Clock
  /** Ends the wait early. */
  readonly signal: AbortSignal
  /** Default: 10 s. */
  readonly timeoutMs?: number
}

const EMPTY_DIR = 'kubernetes.io~empty-dir'
/** Source: statfs(2). */
const TMPFS_MAGIC = 0x01021994
const TIMEOUT_MS = 10_000
const LOOK_MS = 50
/** Some file systems keep times in whole seconds; a reboot takes longer. */
const TIME_STEP_MS = 1000

/** Whether the folder is the root of a tmpfs, and not a folder of a larger one. */
export async function isTmpfsMount(volume: Folder, parent: Folder): Promise<boolean> {
  const { type } = await statfs(`/proc/self/fd/${volume.handle.fd}`)
  return type === TMPFS_MAGIC && volume.device !== parent.device
}

/**
 * Opens the volume for one action. Each folder on the way is checked, and that it is in memory: without
 * its mount, the path leads to the node's disk.
 *
 * @throws DriverError ERR_VOLUME_NOT_READY, ERR_VOLUME_OCCUPIED, and what `action` throws
 */
export function inVolume<T>(
  { podUid, name }: Volume,
  settings: VolumeSettings,
  action: (folder: Folder) => Promise<T>,
): Promise<T> {
  const names = [podUid, 'volumes', EMPTY_DIR]
  return within(settings.podsFolder, names, settings, async (parent) => {
    const folder = await openInside(parent, name, settings)
    try {
      if (!(await settings.isMemoryMount(folder, parent))) {
        throw notReady(`${folder.path} is not a volume in memory`)
      }
      return await action(folder)
    } finally {
      await folder.handle.close()
    }
  })
}

/** For what is to be removed: does nothing if the kubelet has removed its folder already. */
export async function unlessGone(removal: Promise<void>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if (codeOf(error) !== 'ERR_VOLUME_NOT_READY') throw error
  }
}

/**
 * Waits until the kubelet has prepared the volume: it mounts it, sets group and modes of all that is in
 * it, and then writes a file `ready` elsewhere. What is written before that loses its modes.
 * Source: kubernetes, pkg/volume/emptydir/empty_dir.go, SetUpAt.
 *
 * @throws DriverError ERR_VOLUME_NOT_READY when the time is over; ERR_VOLUME_OCCUPIED
 */
export async function waitUntilReady(
  volume: Volume,
  settings: VolumeSettings,
  { clock, signal, timeoutMs = TIMEOUT_MS }: Patience,
): Promise<void> {
  const endMs = clock.monotonic() + timeoutMs
  for (;;) {
    try {
      await requireReady(volume, settings)
      return
    } catch (error) {
      if (codeOf(error) !== 'ERR_VOLUME_NOT_READY') throw error
      if (signal.aborted || clock.monotonic() >= endMs) throw error
    }
    await sleepUnless(clock, LOOK_MS, signal)
  }
}

async function requireReady(volume: Volume, settings: VolumeSettings): Promise<void> {
  const readyMs = await readySinceMs(volume, settings)
  await inVolume(volume, settings, async (folder) => {
    const { birthtimeMs, mtimeMs } = await folder.handle.stat()
    // A kernel before 5.18 does not know when a tmpfs was made; it is the last change until we write.
    const mountedMs = birthtimeMs > 0 ? birthtimeMs : mtimeMs
    if (readyMs + TIME_STEP_MS >= mountedMs || (await isWritten(folder, settings))) return
    // After a reboot the file is still there from before, and the mount is new.
    throw notReady(`${folder.path} is mounted, but the kubelet has not set its group and modes`)
  })
}

/** Milliseconds since the epoch. */
function readySinceMs({ podUid, name }: Volume, settings: VolumeSettings): Promise<number> {
  const names = [podUid, 'plugins', EMPTY_DIR, name]
  return within(settings.podsFolder, names, settings, async (folder) => {
    const ready = await statIfPresent(folder, 'ready')
    if (ready === undefined) throw notReady(`${folder.path}/ready does not exist`)
    return ready.mtimeMs
  })
}

/** Whether we wrote here since it was mounted: so it was ready then. */
async function isWritten(folder: Folder, { ownerId }: FolderRules): Promise<boolean> {
  const names = [CREDENTIALS_FILES.config, TLS_VOLUME.publishedPath]
  const found = await Promise.all(names.map((name) => statIfPresent(folder, name)))
  return found.some((stats) => stats?.uid === ownerId)
}

/**
 * Whether the driver wrote into the volume since it was mounted. After a reboot of the node the folders of a pod are still
 * there, and its volumes in memory are empty.
 *
 * @throws DriverError if the volume cannot be looked at
 */
export async function hasWritten(volume: Volume, settings: VolumeSettings): Promise<boolean> {
  try {
    return await inVolume(volume, settings, (folder) => isWritten(folder, settings))
  } catch (error) {
    if (codeOf(error) === 'ERR_VOLUME_NOT_READY') return false
    throw error
  }
}

async function statIfPresent(folder: Folder, name: string): Promise<Stats | undefined> {
  try {
    return await lstat(entry(folder, name))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function notReady(what: string): DriverError {
  return new DriverError('ERR_VOLUME_NOT_READY', what, {
    hint: "if it stays so, the kubelet's folder is not shared with the driver, or its setting is not that of the node",
  })
}
