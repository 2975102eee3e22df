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
import { turns } from '../mutex.ts'
import type { Store } from './store.ts'

/** The link that leads to the present generation, as the kubelet names its own. */
const PRESENT = '..data'
const NEXT_PRESENT = '..data_tmp'
const GENERATION = /^\.\.gen-([1-9]\d{0,14})$/
/** When it begins and ends, beside the files, so that a restart needs no X.509 parser. */
const UNTIL = '.until'

export interface TlsFolder extends Store<CertificateDocument> {
  /** Gives what is published another trust bundle; does nothing where nothing is published. */
  replaceTrustBundle(trustBundle: string): Promise<void>
}

/**
 * A store on the certificate's volume, which works as the kubelet's atomic writer does: each generation
 * is a folder of its own, complete before one rename of `..data` leads to it, and `tls.key` and its
 * like are links through `..data`. A reader that resolved `..data` once finds one matching set, for the
 * last generation stays until the one after the next swap.
 *
 * It starts with what an earlier process published, and removes what has ended, what is unreadable, and
 * what a process left half-made that was killed.
 *
 * @param folder an existing folder that only this process writes in
 * @param nowMs milliseconds since the epoch
 */
export async function openTlsFolder(folder: string, nowMs: number): Promise<TlsFolder> {
  let current = await readCertificate(folder)
  if (current !== undefined && notAfterOf(current) <= nowMs) current = undefined
  if (current === undefined) {
    await clear(folder)
  } else {
    await ensureLinks(folder)
    await tidy(folder)
  }

  // No name comes twice, or a reader that knows a generation by its name would take the next one for it.
  let last = nowMs
  const write = async (document: CertificateDocument): Promise<void> => {
    last = Math.max(last, await newestOf(folder)) + 1
    await writeGeneration(folder, `..gen-${last}`, document)
  }
  const exclusive = turns() // a removal must never meet the files of the generation that came after
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
        current = undefined // whether or not the files can be removed
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

/** What is published in the folder; undefined where nothing is, or something that is not whole. */
export async function readCertificate(folder: string): Promise<CertificateDocument | undefined> {
  try {
    // One look at the link, so that all files are of one generation.
    const generation = join(folder, await readlink(join(folder, PRESENT)))
    const read = (name: string): Promise<string | undefined> =>
      readIfPresent(join(generation, name), CERTIFICATE_DOCUMENT_MAX_BYTES)
    const [notBefore, notAfter] = ((await read(UNTIL)) ?? '').split('\n')
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
    await chmod(generation, 0o755) // whatever the umask is: apps run as any user
    await writeFully(join(generation, TLS_FILES.key), key)
    await writeFully(join(generation, TLS_FILES.certificate), certificate)
    await writeFully(join(generation, TLS_FILES.trustBundle), trustBundle)
    await writeFully(join(generation, UNTIL), `${notBefore}\n${notAfter}\n`)
    await ensureLinks(folder)
    await replaceLink(folder, name)
  } catch (error) {
    await rm(generation, { recursive: true, force: true })
    throw error
  }
  await tidy(folder)
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
  const next = join(folder, NEXT_PRESENT)
  await rm(next, { force: true })
  await symlink(generation, next)
  await rename(next, join(folder, PRESENT))
}

/** They never change: what they lead through does. */
async function ensureLinks(folder: string): Promise<void> {
  for (const name of Object.values(TLS_FILES)) {
    try {
      await symlink(join(PRESENT, name), join(folder, name))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }
}

/** Removes all generations but the present one and the one before it, and a link that is half-made. */
async function tidy(folder: string): Promise<void> {
  const present = numberOf(await readlink(join(folder, PRESENT)))
  const numbers = await generationsOf(folder)
  const before = Math.max(0, ...numbers.filter((one) => one < present))
  await rm(join(folder, NEXT_PRESENT), { force: true })
  for (const one of numbers) {
    if (one !== present && one !== before) await removeGeneration(folder, one)
  }
}

/** Removes everything that is ours; the links first, so that nothing leads into a void for long. */
async function clear(folder: string): Promise<void> {
  for (const name of [...Object.values(TLS_FILES), NEXT_PRESENT, PRESENT]) {
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

/** 0 for what is no generation. */
function numberOf(name: string): number {
  return Number(GENERATION.exec(name)?.[1] ?? 0)
}
