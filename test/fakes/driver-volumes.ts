/** Test double: where a driver may write in tests: the volumes of pods on a tmpfs. Never shipped. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTmpfsMount, type Volume, type VolumeSettings } from '../../driver/files/volume.ts'
import { POD } from './driver-samples.ts'

export const VOLUME: Volume = { podUid: POD.uid, name: 'nocreds-credentials' }

const TMPFS_MAGIC = 0x01021994
const SHARED_MEMORY = '/dev/shm'

/** A folder in memory if the machine has one. */
export async function makeMemoryFolder(): Promise<string> {
  return mkdtemp(join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), 'nocreds-driver-'))
}

/**
 * Settings for a kubelet's folder of a test. Folders belong to the user who runs the tests, and an emptyDir need not
 * be a mount of its own; whether it is on a tmpfs is asked, if the test's folder is on one.
 */
export async function volumeSettings(podsFolder: string): Promise<VolumeSettings> {
  const isMemory = await isOnTmpfs(podsFolder)
  return {
    podsFolder,
    ownerId: process.getuid?.() ?? 0,
    uniqueName: () => randomBytes(6).toString('hex'),
    isMemoryMount: async ({ handle }) => !isMemory || isOnTmpfs(`/proc/self/fd/${handle.fd}`),
  }
}

async function isOnTmpfs(path: string): Promise<boolean> {
  return (await statfs(path)).type === TMPFS_MAGIC
}

/** The settings that are shipped. */
export function strictly(settings: VolumeSettings): VolumeSettings {
  return { ...settings, isMemoryMount: isTmpfsMount }
}

/** Mounts a tmpfs, as the kubelet does; undefined on a machine that does not let us. */
export function mountTmpfs(folder: string): { unmount(): void } | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return {
    unmount() {
      execFileSync('umount', [folder])
    },
  }
}

export const isRoot = process.getuid?.() === 0

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true })
}
