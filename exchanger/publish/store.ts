import { join } from 'node:path'
import {
  CREDENTIAL_DOCUMENT_MAX_BYTES,
  formatCredentialDocument,
  parseCredentialDocument,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { readIfPresent, removeIfPresent, writeAtomically } from '../../platform/files.ts'

/** The one place where credentials are: in memory for the endpoint, in a file for everyone else. */
export interface CredentialStore {
  /** What is published now; undefined where nothing is. */
  current(): CredentialDocument | undefined
  /** Puts the document in the place of the last one. Where that fails, the last one stays. */
  publish(document: CredentialDocument): Promise<void>
  /** Takes away what is published. */
  withdraw(): Promise<void>
}

/**
 * A store on the credentials volume that starts with what an earlier process left there, so that a
 * restart loses nothing. A file that is no document counts as none.
 */
export async function openStore(folder: string): Promise<CredentialStore> {
  const path = join(folder, CREDENTIALS_FILES.document)
  let current = await readDocument(path)
  return {
    current: () => current,
    async publish(document) {
      await writeAtomically(path, formatCredentialDocument(document))
      current = document
    },
    async withdraw() {
      current = undefined // even where the file cannot be removed
      await removeIfPresent(path)
    },
  }
}

/** The document in the folder; undefined where there is none, or what is there is none. */
export async function readDocument(path: string): Promise<CredentialDocument | undefined> {
  try {
    const text = await readIfPresent(path, CREDENTIAL_DOCUMENT_MAX_BYTES)
    return text === undefined ? undefined : parseCredentialDocument(text)
  } catch {
    return undefined
  }
}
