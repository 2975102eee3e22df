import { join } from 'node:path'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { readIfPresent, writeAtomically } from '../../shared/base/files.ts'

/** 256 bits in base64url: 43 characters without a line break, because SDKs send the file unchanged. */
const BYTES = 32
const SHAPE = /^[\w-]{43}$/

/**
 * The value that apps send to the endpoint as `Authorization`. It is created once and stays the same for the
 * lifetime of the pod, also after a restart of the sidecar; a file with any other content is replaced.
 *
 * @param randomBytes of `node:crypto`
 */
export async function ensureAuthorization(
  folder: string,
  randomBytes: (size: number) => Buffer,
): Promise<string> {
  const found = await readAuthorization(folder)
  if (found !== undefined) return found
  const made = randomBytes(BYTES).toString('base64url')
  await writeAtomically(join(folder, CREDENTIALS_FILES.authorization), made)
  return made
}

/** The authorization in the folder; undefined if absent or invalid. */
export async function readAuthorization(folder: string): Promise<string | undefined> {
  try {
    const text = await readIfPresent(join(folder, CREDENTIALS_FILES.authorization), 4096)
    return text !== undefined && SHAPE.test(text) ? text : undefined
  } catch {
    return undefined
  }
}
