import { awsConfigFile } from '../../contract/config-file.ts'
import {
  CREDENTIAL_DOCUMENT_MAX_BYTES,
  formatCredentialDocument,
  parseCredentialDocument,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import { CREDENTIALS_FILES, CREDENTIALS_VOLUME } from '../../contract/names.ts'
import { readEntry, removeEntry, removeTemporaries, writeEntry } from './file.ts'
import type { Folder } from './folder.ts'
import { inVolume, unlessGone, type Volume, type VolumeSettings } from './volume.ts'

/** Apps run as any user. */
const MODE = 0o644
const CONFIG = awsConfigFile(CREDENTIALS_VOLUME.mountPath)

/**
 * Writes what the sidecar writes for `delivery: process`: the config file first, then the document. Each
 * replaces the old one in one step.
 *
 * @param volume one that is ready
 * @throws DriverError; the last document stays
 */
export async function publishCredentials(
  volume: Volume,
  document: CredentialDocument,
  settings: VolumeSettings,
): Promise<void> {
  const { uniqueName } = settings
  await inVolume(volume, settings, async (folder) => {
    if ((await read(folder, CREDENTIALS_FILES.config, settings)) !== CONFIG) {
      await writeEntry(folder, CREDENTIALS_FILES.config, { text: CONFIG, mode: MODE, uniqueName })
    }
    const text = formatCredentialDocument(document)
    await writeEntry(folder, CREDENTIALS_FILES.document, { text, mode: MODE, uniqueName })
  })
}

/**
 * What an earlier process published; undefined if there is none, or what is there is not a document of
 * the driver. It also removes what that process left half-written. A pod that runs as root can write such a
 * document itself: believe it for this pod alone.
 *
 * @throws DriverError if the volume cannot be read
 */
export function readCredentials(
  volume: Volume,
  settings: VolumeSettings,
): Promise<CredentialDocument | undefined> {
  return inVolume(volume, settings, async (folder) => {
    await removeTemporaries(folder, [CREDENTIALS_FILES.config, CREDENTIALS_FILES.document])
    const text = await read(folder, CREDENTIALS_FILES.document, settings)
    try {
      return text === undefined ? undefined : parseCredentialDocument(text)
    } catch {
      return undefined
    }
  })
}

/**
 * Takes the document away; the config file stays, so that SDKs ask again. Does nothing if the volume is gone.
 *
 * @throws DriverError
 */
export function withdrawCredentials(volume: Volume, settings: VolumeSettings): Promise<void> {
  return unlessGone(
    inVolume(volume, settings, (folder) => removeEntry(folder, CREDENTIALS_FILES.document)),
  )
}

function read(
  folder: Folder,
  name: string,
  { ownerId }: VolumeSettings,
): Promise<string | undefined> {
  return readEntry(folder, name, { maxBytes: CREDENTIAL_DOCUMENT_MAX_BYTES, ownerId })
}
