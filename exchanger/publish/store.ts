import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CREDENTIAL_DOCUMENT_MAX_BYTES,
  expirationOf,
  formatCredentialDocument,
  parseCredentialDocument,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { readIfPresent, removeIfPresent, writeAtomically } from '../../shared/base/files.ts'
import { createMutex } from '../mutex.ts'

/** Publishes credentials or certificates for apps. */
export interface Store<Item> {
  /** What is currently published; undefined if nothing is. */
  current(): Item | undefined
  /** Replaces what is published. If that fails, the previous item stays. */
  publish(item: Item): Promise<void>
  /** Removes this item; does nothing if another one has been published since. */
  withdraw(item: Item): Promise<void>
}

/** Credentials are in memory for the endpoint, and in a file for other clients. */
export type CredentialStore = Store<CredentialDocument>

/**
 * Opens the store on the credentials volume. It starts with what an earlier process published, so that a restart
 * loses nothing, and removes expired and unreadable documents, and incomplete files of a process that was killed.
 *
 * @param folder an existing folder that only this process writes to
 * @param nowMs milliseconds since the epoch
 */
export async function openStore(folder: string, nowMs: number): Promise<CredentialStore> {
  await removeIncomplete(folder)
  const path = documentPath(folder)
  let current = await readDocument(folder)
  if (current !== undefined && expirationOf(current) <= nowMs) current = undefined
  if (current === undefined) await removeIfPresent(path)

  // One change at a time: a removal must never delete the file of a later document.
  const exclusive = createMutex()
  return {
    current: () => current,
    publish: (document) =>
      exclusive(async () => {
        await writeAtomically(path, formatCredentialDocument(document))
        current = document
      }),
    withdraw: (document) =>
      exclusive(async () => {
        if (current !== document) return
        current = undefined // even if the file cannot be removed
        await removeIfPresent(path)
      }),
  }
}

/** The document in the folder; undefined if absent or invalid. */
export async function readDocument(folder: string): Promise<CredentialDocument | undefined> {
  try {
    const text = await readIfPresent(documentPath(folder), CREDENTIAL_DOCUMENT_MAX_BYTES)
    return text === undefined ? undefined : parseCredentialDocument(text)
  } catch {
    return undefined
  }
}

function documentPath(folder: string): string {
  return join(folder, CREDENTIALS_FILES.document)
}

/** Removes temporary files of writeAtomically. */
async function removeIncomplete(folder: string): Promise<void> {
  const published: readonly string[] = Object.values(CREDENTIALS_FILES)
  for (const name of await readdir(folder)) {
    const [, of] = /^\.(.+)\.[0-9a-f]{12}$/.exec(name) ?? []
    if (of !== undefined && published.includes(of)) await removeIfPresent(join(folder, name))
  }
}
