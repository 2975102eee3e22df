import { chmod, mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CERTIFICATE_DOCUMENT_MAX_BYTES,
  checkedDocument,
  notAfterOf,
  type CertificateDocument,
} from '../../contract/certificate-document.ts'
import { TLS_FILES } from '../../contract/certificates.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'
import { createMutex } from '../mutex.ts'
import type { Store } from './store.ts'

/** Symlink to the current generation, named as the kubelet names its own. */
const CURRENT = '..data'
const NEXT_CURRENT = '..data_tmp'
const GENERATION = /^\.\.gen-([1-9]\d{0,14})$/
/** notBefore and notAfter, beside the other files, so that a restart needs no X.509 parser. */
const VALIDITY = '.until'

export interface TlsFolder extends Store<CertificateDocument> {
  /** Replaces the trust bundle of what is published; does nothing if nothing is published. */
  replaceTrustBundle(trustBundle: string): Promise<void>
}

/**
 * Opens the store on the certificate's volume. It works like the kubelet's atomic writer: each generation is a
 * separate folder, which is complete before one rename of `..data` switches to it, and `tls.key` and the other
 * files are symlinks through `..data`. A reader that resolves `..data` once gets one matching set, because the
 * previous generation stays until the switch after the next one.
 *
 * It starts with what an earlier process published, and removes expired, unreadable and incomplete generations.
 *
 * @param folder an existing folder that only this process writes to
 * @param nowMs milliseconds since the epoch
 */
export async function openTlsFolder(folder: string, nowMs: number): Promise<TlsFolder> {
  let current = await readCertificate(folder)
  if (current !== undefined && notAfterOf(current) <= nowMs) current = undefined
  if (current === undefined) {
    await clear(folder)
  } else {
    await ensureLinks(folder)
    await removeOld(folder)
  }

  // A name is never used twice: a reader that identifies a generation by its name would miss the new one.
  let last = nowMs
  const write = async (document: CertificateDocument): Promise<void> => {
    last = Math.max(last, await newestOf(folder)) + 1
    await writeGeneration(folder, `..gen-${last}`, document)
  }
  const exclusive = createMutex() // a removal must never delete the files of a later generation
  return {
    current: () => current,
    publish: (document) =>
      exclusive(async () => {
        await write(document)
        current = document
      }),
    withdraw: (document) =>
      exclusive(async () => {
        if (current !== document) return
        current = undefined // even if the files cannot be removed
        await clear(folder)
      }),
    replaceTrustBundle: (trustBundle) =>
      exclusive(async () => {
        if (current === undefined || current.trustBundle === trustBundle) return
        const document = { ...current, trustBundle }
        await write(document)
        current = document
      }),
  }
}

/** What is published in the folder; undefined if absent or incomplete. */
export async function readCertificate(folder: string): Promise<CertificateDocument | undefined> {
  try {
    // The symlink is read once, so that all files are of one generation.
    const generation = join(folder, await readlink(join(folder, CURRENT)))
    const read = (name: string): Promise<string | undefined> =>
      readIfPresent(join(generation, name), CERTIFICATE_DOCUMENT_MAX_BYTES)
    const [notBefore, notAfter] = ((await read(VALIDITY)) ?? '').split('\n')
    return checkedDocument({
      key: await read(TLS_FILES.key),
      certificate: await read(TLS_FILES.certificate),
      trustBundle: await read(TLS_FILES.trustBundle),
      notBefore,
      notAfter,
    })
  } catch {
    return undefined
  }
}

async function writeGeneration(
  folder: string,
  name: string,
  document: CertificateDocument,
): Promise<void> {
  const { key, certificate, trustBundle, notBefore, notAfter } = document
  const generation = join(folder, name)
  try {
    await mkdir(generation)
    await chmod(generation, 0o755) // independent of the umask: apps may run as any user
    await writeFully(join(generation, TLS_FILES.key), key)
    await writeFully(join(generation, TLS_FILES.certificate), certificate)
    await writeFully(join(generation, TLS_FILES.trustBundle), trustBundle)
    await writeFully(join(generation, VALIDITY), `${notBefore}\n${notAfter}\n`)
    await ensureLinks(folder)
    await replaceLink(folder, name)
  } catch (error) {
    await rm(generation, { recursive: true, force: true })
    throw error
  }
  await removeOld(folder)
}

async function writeFully(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await file.chmod(0o644)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function replaceLink(folder: string, generation: string): Promise<void> {
  const next = join(folder, NEXT_CURRENT)
  await rm(next, { force: true })
  await symlink(generation, next)
  await rename(next, join(folder, CURRENT))
}

/** These symlinks never change, only `..data` does. */
async function ensureLinks(folder: string): Promise<void> {
  for (const name of Object.values(TLS_FILES)) {
    try {
      await symlink(join(CURRENT, name), join(folder, name))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }
}

/** Removes all generations except the current and the previous one, and an incomplete symlink. */
async function removeOld(folder: string): Promise<void> {
  const current = numberOf(await readlink(join(folder, CURRENT)))
  const numbers = await generationsOf(folder)
  const before = Math.max(0, ...numbers.filter((one) => one < current))
  await rm(join(folder, NEXT_CURRENT), { force: true })
  for (const one of numbers) {
    if (one !== current && one !== before) await removeGeneration(folder, one)
  }
}

/** Removes everything that this process writes; the symlinks first, so that they do not dangle for long. */
async function clear(folder: string): Promise<void> {
  for (const name of [...Object.values(TLS_FILES), NEXT_CURRENT, CURRENT]) {
    await rm(join(folder, name), { force: true })
  }
  for (const one of await generationsOf(folder)) await removeGeneration(folder, one)
}

function removeGeneration(folder: string, number: number): Promise<void> {
  return rm(join(folder, `..gen-${number}`), { recursive: true, force: true })
}

async function newestOf(folder: string): Promise<number> {
  return Math.max(0, ...(await generationsOf(folder)))
}

async function generationsOf(folder: string): Promise<number[]> {
  return (await readdir(folder)).map(numberOf).filter((number) => number > 0)
}

/** The number of a generation; 0 for any other name. */
function numberOf(name: string): number {
  return Number(GENERATION.exec(name)?.[1] ?? 0)
}
