import { chmod, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { codeOf } from './errors.ts'

/** Files are read by other users of the pod: everyone may read, only the owner may write. */
const DEFAULT_MODE = 0o644

/**
 * Replaces the file at `path` so that a reader sees either the old or the new content, never a part of it: it
 * writes to a new name, calls fsync and renames. A failure keeps the old content and leaves no temporary file.
 *
 * Needs write permission in the folder; throws Node's own error (ENOSPC, EACCES, …) otherwise.
 */
export async function writeAtomically(
  path: string,
  content: string,
  mode: number = DEFAULT_MODE,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${uniqueName()}`)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.chmod(mode) // independent of the umask
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await removeIfPresent(temporary)
    throw error
  }
}

/**
 * 12 hexadecimal digits: the nanoseconds of the system's uptime, which are different for any two writers. If they are
 * not, `wx` lets only one of them create the file. (Random bytes would load node:crypto.)
 */
function uniqueName(): string {
  return process.hrtime.bigint().toString(16).padStart(12, '0').slice(-12)
}

/** The text of a file; undefined if absent. Throws if it is larger than `maxBytes`. */
export async function readIfPresent(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    requireAtMost(path, (await stat(path)).size, maxBytes)
    const bytes = await readFile(path)
    requireAtMost(path, bytes.length, maxBytes) // it may have grown since
    return bytes.toString('utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function requireAtMost(path: string, size: number, maxBytes: number): void {
  if (size <= maxBytes) return
  throw new RangeError(`${path} has ${size} bytes; allowed: at most ${maxBytes}`)
}

/** Creates the folder, readable by all, if it is missing; leaves an existing one unchanged. */
export async function ensureFolder(path: string): Promise<void> {
  const created = await mkdir(path, { recursive: true, mode: 0o755 })
  if (created !== undefined) await chmod(path, 0o755)
}

/** Removes the file; no error if absent. */
export async function removeIfPresent(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
