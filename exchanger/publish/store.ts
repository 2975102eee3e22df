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
import { turns } from '../mutex.ts'

/** Where apps find what is published. */
export interface Store<Thing> {
  /** What is published now; undefined where nothing is. */
  current(): Thing | undefined
  /** Puts the thing in the place of the last one. Where that fails, the last one stays. */
  publish(thing: Thing): Promise<void>
  /** Takes this thing away; does nothing where another one is published meanwhile. */
  withdraw(thing: Thing): Promise<void>
}

/** Credentials are in memory for the endpoint, in a file for everyone else. */
export type CredentialStore = Store<CredentialDocument>

/**
 * A store on the credentials volume. It starts with what an earlier process published, so that a
 * restart loses nothing, and removes what has ended, what is unreadable, and half-written files of a
 * process that was killed.
 *
 * @param folder an existing folder that only this process writes in
 * @param nowMs milliseconds since the epoch
 */
export async function openStore(folder: string, nowMs: number): Promise<CredentialStore> {
  await removeHalfWritten(folder)
  const path = documentPath(folder)
  let current = await readDocument(folder)
  if (current !== undefined && expirationOf(current) <= nowMs) current = undefined
  if (current === undefined) await removeIfPresent(path)

  // One change at a time: a removal must never meet the file of the document that came after.
  const exclusive = turns()
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
        current = undefined // whether or not the file can be removed
        await removeIfPresent(path)
      }),
  }
}

/** The document in the folder; undefined where there is none, or what is there is none. */
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

/** The names that writeAtomically gives to files that are not whole yet. */
async function removeHalfWritten(folder: string): Promise<void> {
  const ours: readonly string[] = Object.values(CREDENTIALS_FILES)
  for (const name of await readdir(folder)) {
    const [, of] = /^\.(.+)\.[0-9a-f]{12}$/.exec(name) ?? []
    if (of !== undefined && ours.includes(of)) await removeIfPresent(join(folder, name))
  }
}
