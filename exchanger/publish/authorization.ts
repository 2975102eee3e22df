import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { readIfPresent, writeAtomically } from '../../platform/files.ts'

const SECRET_BYTES = 32
/** 32 bytes in base64url. No line break: SDKs send the file as it is, and some refuse one. */
const SHAPE = /^[\w-]{43}$/

/**
 * The secret that the app must show to the endpoint: 256 random bits, made once and the same for the
 * pod's life, for SDKs may keep what they read before a restart of the sidecar.
 */
export async function ensureAuthorization(folder: string): Promise<string> {
  const path = join(folder, CREDENTIALS_FILES.authorization)
  const found = await readIfPresent(path, 1024).catch(() => undefined)
  if (found !== undefined && SHAPE.test(found)) return found
  const made = randomBytes(SECRET_BYTES).toString('base64url')
  await writeAtomically(path, made)
  return made
}

/** Compares in constant time; digests make lengths equal and tell nothing about the secret's. */
export function isAuthorized(given: string | undefined, secret: string): boolean {
  return timingSafeEqual(digest(given ?? ''), digest(secret))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
