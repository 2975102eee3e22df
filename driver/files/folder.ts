import { constants } from 'node:fs'
import { mkdir, open, opendir, rmdir, type FileHandle } from 'node:fs/promises'
import { codeOf, NocredsError } from '../../shared/base/errors.ts'
import { DriverError } from '../errors.ts'

/**
 * A folder that is open. What is in it is reached through the descriptor, so it stays this very folder, whatever is
 * renamed or linked meanwhile; Node has no openat, but the kernel gives the same by `/proc/self/fd`.
 *
 * A folder on a mount keeps that mount busy, and the kubelet could not unmount it: never keep one open
 * for longer than an operation takes.
 */
export interface Folder {
  /** For messages only: it may lead elsewhere by now. */
  readonly path: string
  readonly handle: FileHandle
  /** The group of what is made in it, 0 if it has none of its own. */
  readonly groupId: number
  /** Number of its file system. */
  readonly device: number
}

/** What a folder must be, so that it is opened. */
export interface FolderRules {
  /** User id that owns each folder; 0 but for tests. */
  readonly ownerId: number
}

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
/** The bit of a folder's mode that hands its group on to what is made in it. */
const SET_GROUP = 0o2000
/** No entry has a slash, and none leads up. */
const NAME = /^(?!\.{1,2}$)[^/\0]{1,255}$/

/** Where the entry is, for calls that take a path. @throws RangeError for what is no name of an entry */
export function entry(folder: Folder, name: string): string {
  if (!NAME.test(name)) throw new RangeError('not the name of an entry')
  return `/proc/self/fd/${folder.handle.fd}/${name}`
}

/**
 * Opens a folder by its path; only the last part must not be a link, so all parts before it must be where
 * nobody but root can write.
 *
 * @throws DriverError ERR_VOLUME_OCCUPIED for a link, a file or a folder of someone else;
 *   ERR_VOLUME_NOT_READY if there is nothing of this name
 */
function openFolder(path: string, rules: FolderRules): Promise<Folder> {
  return openChecked(path, path, rules)
}

/** Opens a folder in another one. @throws as openFolder */
export function openInside(parent: Folder, name: string, rules: FolderRules): Promise<Folder> {
  return openChecked(entry(parent, name), `${parent.path}/${name}`, rules)
}

/**
 * Opens folder after folder, from the first one by its path to the last one, hands that one on, and
 * closes it.
 *
 * @throws as openFolder, and what `action` throws; Node's errors as DriverError ERR_VOLUME
 */
export async function within<T>(
  path: string,
  names: readonly string[],
  rules: FolderRules,
  action: (folder: Folder) => Promise<T>,
): Promise<T> {
  let folder = await openFolder(path, rules)
  try {
    for (const name of names) {
      const next = await openInside(folder, name, rules)
      await folder.handle.close()
      folder = next
    }
    return await action(folder)
  } catch (error) {
    throw explained(error, folder.path)
  } finally {
    await folder.handle.close()
  }
}

async function openChecked(path: string, shownPath: string, rules: FolderRules): Promise<Folder> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch((error: unknown) => {
    const code = codeOf(error)
    if (code === 'ENOENT') throw missing(shownPath)
    if (code === 'ENOTDIR' || code === 'ELOOP') throw occupied(shownPath, 'is not a folder')
    throw error
  })
  try {
    const { uid, gid, mode, dev } = await handle.stat()
    if (uid !== rules.ownerId) throw occupied(shownPath, `belongs to the user ${uid}`)
    const groupId = (mode & SET_GROUP) === 0 ? 0 : gid
    return { path: shownPath, handle, groupId, device: dev }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Makes a folder with this mode (the process has umask 0), or leaves the one that is there. */
export async function ensureInside(parent: Folder, name: string, mode: number): Promise<void> {
  try {
    await mkdir(entry(parent, name), mode)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/**
 * Removes an empty folder; does nothing if there is none.
 *
 * @throws DriverError ERR_VOLUME_OCCUPIED if it is not empty, or not a folder
 */
export async function removeInside(parent: Folder, name: string): Promise<void> {
  try {
    await rmdir(entry(parent, name))
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return
    if (code !== 'ENOTEMPTY' && code !== 'ENOTDIR') throw error
    throw occupied(
      `${parent.path}/${name}`,
      code === 'ENOTDIR' ? 'is not a folder' : 'is not empty',
    )
  }
}

/** Names in the folder, at most `max`: someone else may have made any number. */
export async function namesIn(folder: Folder, max: number): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of await opendir(`/proc/self/fd/${folder.handle.fd}`)) {
    if (names.length >= max) break
    names.push(name)
  }
  return names
}

/** Something that the driver did not make has a name that it needs; nothing of it is touched. */
function occupied(path: string, what: string): DriverError {
  return new DriverError(
    'ERR_VOLUME_OCCUPIED',
    `${path} ${what}, so nocreds neither uses nor removes it`,
  )
}

function missing(path: string): DriverError {
  return new DriverError('ERR_VOLUME_NOT_READY', `${path} does not exist`)
}

/** An error of Node as a DriverError that names its code; any other as it is. */
export function explained(error: unknown, path: string): unknown {
  const code = codeOf(error)
  if (code === undefined || error instanceof NocredsError || error instanceof RangeError)
    return error
  if (code === 'EISDIR') return occupied(path, 'is a folder')
  const details =
    code === 'ENOSPC' ? { cause: error, hint: 'the volume is full' } : { cause: error }
  return new DriverError('ERR_VOLUME', `${path} cannot be used: ${code}`, details)
}
