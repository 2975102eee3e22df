import { join } from 'node:path'
import { expirationOf } from '../contract/credentials.ts'
import type { ExchangerConfig } from '../contract/exchanger-env.ts'
import { CREDENTIALS_FILES } from '../contract/names.ts'
import { sleep, type Clock } from '../platform/clock.ts'
import { readIfPresent } from '../platform/files.ts'
import { readDocument } from './publish/store.ts'

const POLL_MS = 50
/** Above the time after which the resident process ends itself, so that its message is the one seen. */
const LIMIT_MS = 45_000

/**
 * The gate: true once unexpired credentials are there. The kubelet starts no later container of the
 * pod before this hook has returned.
 */
export async function waitForCredentials(config: ExchangerConfig, clock: Clock): Promise<boolean> {
  const giveUpAtMs = clock.monotonic() + LIMIT_MS
  while (clock.monotonic() < giveUpAtMs) {
    if (await areThere(config, clock.now())) return true
    await sleep(clock, POLL_MS)
  }
  return false
}

async function areThere(config: ExchangerConfig, now: number): Promise<boolean> {
  const folder = config.credentialsFolder
  const document = await readDocument(join(folder, CREDENTIALS_FILES.document))
  if (document === undefined || expirationOf(document) <= now) return false
  const needed =
    config.delivery === 'endpoint' ? CREDENTIALS_FILES.authorization : CREDENTIALS_FILES.config
  return (await readIfPresent(join(folder, needed), 4096)) !== undefined
}
