import { join } from 'node:path'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { readIfPresent, writeAtomically } from '../../shared/base/files.ts'

/** 256 bit in base64url: 43 characters, no line break, for SDKs send the file as it is. */
const BYTES = 32
const SHAPE = /^[\w-]{43}$/

/**
 * What apps send as `Authorization` to the endpoint. It is made once and stays the same for the
 * pod's life, a restart of the sidecar included; a file with anything else in it is replaced.
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

/** The authorization in the folder; undefined where there is none, or what is there is none. */
export async function readAuthorization(folder: string): Promise<string | undefined> {
  try {
    const text = await readIfPresent(join(folder, CREDENTIALS_FILES.authorization), 4096)
    return text !== undefined && SHAPE.test(text) ? text : undefined
  } catch {
    return undefined
  }
}
