import { mkdir, readlink } from 'node:fs/promises'
import {
  CERTIFICATE_DOCUMENT_MAX_BYTES,
  checkedDocument,
  type CertificateDocument,
} from '../../contract/certificate-document.ts'
import { TLS_FILES, TLS_VOLUME } from '../../contract/certificates.ts'
import {
  GENERATION_FILES,
  generationName,
  generationNumber,
  CURRENT,
  VALIDITY,
} from '../../contract/tls-layout.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { readEntry, removeEntry, removeTemporaries, writeEntry, writeLink } from './file.ts'
import { ensureInside, entry, namesIn, openInside, removeInside, type Folder } from './folder.ts'
import { inVolume, unlessGone, type Volume, type VolumeSettings } from './volume.ts'

const FOLDER_MODE = 0o755
const FILE_MODE = 0o644
/** Of a key in a pod with fsGroup: its group, and nobody else. */
const GROUP_KEY_MODE = 0o640
const MAX_NAMES = 1000
const LINKS = Object.values(TLS_FILES)

/**
 * Writes what the sidecar writes for a certificate: a new generation, complete before one link leads to
 * it. The one before it stays for readers that are in it; older ones are removed.
 *
 * @param volume one that is ready, and that no other call writes in meanwhile
 * @param nowMs milliseconds since the epoch, for the generation's name
 * @throws DriverError; the last certificate stays
 */
export function publishCertificate(
  volume: Volume,
  document: CertificateDocument,
  settings: VolumeSettings,
  nowMs: number,
): Promise<void> {
  return inPublished(volume, settings, async (published) => {
    const numbers = await generationsIn(published)
    const before = generationNumber((await linkIn(published, CURRENT)) ?? '')
    const number = Math.max(nowMs, ...numbers) + 1
    try {
      await writeGeneration(published, number, document, settings)
      for (const name of LINKS) await ensureLink(published, name, `${CURRENT}/${name}`, settings)
      const { uniqueName } = settings
      await writeLink(published, CURRENT, { target: generationName(number), uniqueName })
    } catch (error) {
      await removeGeneration(published, number, settings).catch(() => undefined)
      throw error
    }
    for (const old of numbers) {
      // One that the driver did not make is left; it hides nothing.
      if (old !== before) await removeGeneration(published, old, settings).catch(() => undefined)
    }
  })
}

/**
 * What an earlier process published; undefined if there is none, or what is there is not whole.
 *
 * @throws DriverError if the volume cannot be read
 */
export function readCertificate(
  volume: Volume,
  settings: VolumeSettings,
): Promise<CertificateDocument | undefined> {
  return inPublished(volume, settings, async (published) => {
    await removeTemporaries(published, [...LINKS, CURRENT])
    const number = generationNumber((await linkIn(published, CURRENT)) ?? '')
    if (number === 0) return undefined
    try {
      return await inGeneration(published, number, settings, (folder) => readAll(folder, settings))
    } catch {
      return undefined
    }
  })
}

/**
 * Takes it away: the links first, so that nothing leads into a void for long. Does nothing if the volume
 * is gone.
 *
 * @throws DriverError
 */
export function withdrawCertificate(volume: Volume, settings: VolumeSettings): Promise<void> {
  return unlessGone(
    inPublished(volume, settings, async (published) => {
      for (const name of [...LINKS, CURRENT]) await removeEntry(published, name)
      for (const number of await generationsIn(published)) {
        await removeGeneration(published, number, settings)
      }
    }),
  )
}

/** Opens the folder in the volume that all of it is in. */
function inPublished<T>(
  volume: Volume,
  settings: VolumeSettings,
  action: (published: Folder) => Promise<T>,
): Promise<T> {
  return inVolume(volume, settings, async (root) => {
    await ensureInside(root, TLS_VOLUME.publishedPath, FOLDER_MODE)
    const published = await openInside(root, TLS_VOLUME.publishedPath, settings)
    return closing(published, action)
  })
}

async function inGeneration<T>(
  published: Folder,
  number: number,
  settings: VolumeSettings,
  action: (generation: Folder) => Promise<T>,
): Promise<T> {
  return closing(await openInside(published, generationName(number), settings), action)
}

async function closing<T>(folder: Folder, action: (folder: Folder) => Promise<T>): Promise<T> {
  try {
    return await action(folder)
  } finally {
    await folder.handle.close()
  }
}

async function writeGeneration(
  published: Folder,
  number: number,
  document: CertificateDocument,
  settings: VolumeSettings,
): Promise<void> {
  const { key, certificate, trustBundle, notBefore, notAfter } = document
  await mkdir(entry(published, generationName(number)), FOLDER_MODE)
  await inGeneration(published, number, settings, async (folder) => {
    const write = (name: string, text: string, mode = FILE_MODE): Promise<void> =>
      writeEntry(folder, name, { text, mode, uniqueName: settings.uniqueName })
    await write(TLS_FILES.key, key, folder.groupId === 0 ? FILE_MODE : GROUP_KEY_MODE)
    await write(TLS_FILES.certificate, certificate)
    await write(TLS_FILES.trustBundle, trustBundle)
    await write(VALIDITY, `${notBefore}\n${notAfter}\n`)
  })
}

async function readAll(folder: Folder, { ownerId }: VolumeSettings): Promise<CertificateDocument> {
  const read = (name: string): Promise<string | undefined> =>
    readEntry(folder, name, { maxBytes: CERTIFICATE_DOCUMENT_MAX_BYTES, ownerId })
  const [notBefore, notAfter] = ((await read(VALIDITY)) ?? '').split('\n')
  return checkedDocument({
    key: await read(TLS_FILES.key),
    certificate: await read(TLS_FILES.certificate),
    trustBundle: await read(TLS_FILES.trustBundle),
    notBefore,
    notAfter,
  })
}

/** Removes the driver's files in it, and then the folder, which must be empty. */
async function removeGeneration(
  published: Folder,
  number: number,
  settings: VolumeSettings,
): Promise<void> {
  await inGeneration(published, number, settings, async (folder) => {
    await removeTemporaries(folder, GENERATION_FILES)
    for (const name of GENERATION_FILES) await removeEntry(folder, name)
  })
  await removeInside(published, generationName(number))
}

async function ensureLink(
  folder: Folder,
  name: string,
  target: string,
  { uniqueName }: VolumeSettings,
): Promise<void> {
  if ((await linkIn(folder, name)) !== target) await writeLink(folder, name, { target, uniqueName })
}

/** Where the link leads; undefined if there is none, or something else has this name. */
async function linkIn(folder: Folder, name: string): Promise<string | undefined> {
  try {
    return await readlink(entry(folder, name))
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EINVAL') return undefined
    throw error
  }
}

async function generationsIn(folder: Folder): Promise<number[]> {
  return (await namesIn(folder, MAX_NAMES)).map(generationNumber).filter((number) => number > 0)
}
