import { constants } from 'node:fs'
import { open, rename, symlink, unlink, type FileHandle } from 'node:fs/promises'
import { codeOf } from '../../shared/base/errors.ts'
import { entry, explained, namesIn, type Folder, type FolderRules } from './folder.ts'

/** Makes names that nobody can foresee: 12 hexadecimal digits. */
export type UniqueName = () => string

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
/** Opens nothing but the name, so that a device or a fifo is not touched. Node has no name for it. */
const O_PATH = 0o10_000_000

/** More than we ever leave; a folder with more entries is full of someone else's. */
const MAX_NAMES = 1000

/**
 * Replaces the file: a reader sees the old content or the new one. Whatever has this name is not
 * followed, opened or written through; it is replaced as an entry.
 *
 * @param mode of the file; the process has umask 0
 * @throws DriverError ERR_VOLUME_OCCUPIED if a folder has this name, ERR_VOLUME if the volume cannot be
 *   written; the old content stays
 */
export async function writeEntry(
  folder: Folder,
  name: string,
  { text, mode, uniqueName }: { text: string; mode: number; uniqueName: UniqueName },
): Promise<void> {
  const temporary = temporaryName(name, uniqueName)
  await replacing(folder, name, temporary, async () => {
    const file = await open(
      entry(folder, temporary),
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
      mode,
    )
    try {
      await file.writeFile(text)
    } finally {
      await file.close()
    }
  })
}

/** Replaces a link; where it leads is only ever what the reader in the pod makes of it. @throws as writeEntry */
export async function writeLink(
  folder: Folder,
  name: string,
  { target, uniqueName }: { target: string; uniqueName: UniqueName },
): Promise<void> {
  const temporary = temporaryName(name, uniqueName)
  await replacing(folder, name, temporary, () => symlink(target, entry(folder, temporary)))
}

async function replacing(
  folder: Folder,
  name: string,
  temporary: string,
  make: () => Promise<void>,
): Promise<void> {
  try {
    await make()
    await rename(entry(folder, temporary), entry(folder, name))
  } catch (error) {
    await unlink(entry(folder, temporary)).catch(() => undefined)
    throw explained(error, `${folder.path}/${name}`)
  }
}

/** Removes the entry, not what it leads to; no error if there is none. @throws as writeEntry */
export async function removeEntry(folder: Folder, name: string): Promise<void> {
  try {
    await unlink(entry(folder, name))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw explained(error, `${folder.path}/${name}`)
  }
}

/**
 * The text of a regular file of the owner; undefined if there is none, or something else has this name.
 *
 * @throws DriverError ERR_VOLUME if it cannot be read
 */
export async function readEntry(
  folder: Folder,
  name: string,
  { maxBytes, ownerId }: FolderRules & { readonly maxBytes: number },
): Promise<string | undefined> {
  let found: FileHandle | undefined
  let file: FileHandle | undefined
  try {
    found = await open(entry(folder, name), O_PATH | O_NOFOLLOW)
    const stats = await found.stat()
    if (!stats.isFile() || stats.uid !== ownerId || stats.size > maxBytes) return undefined
    // This very file, and no other that has its name by now.
    file = await open(`/proc/self/fd/${found.fd}`, O_RDONLY | O_NONBLOCK)
    const { bytesRead, buffer } = await file.read(Buffer.alloc(stats.size), 0, stats.size, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw explained(error, `${folder.path}/${name}`)
  } finally {
    await file?.close()
    await found?.close()
  }
}

/** Removes what a process that was killed left of these files. Anything else is left alone. */
export async function removeTemporaries(folder: Folder, names: readonly string[]): Promise<void> {
  for (const found of await namesIn(folder, MAX_NAMES)) {
    const [, of = ''] = /^\.(.+)\.[0-9a-f]{12}$/.exec(found) ?? []
    // A folder of such a name was not made by the driver.
    if (names.includes(of)) await unlink(entry(folder, found)).catch(() => undefined)
  }
}

function temporaryName(name: string, uniqueName: UniqueName): string {
  return `.${name}.${uniqueName()}`
}
