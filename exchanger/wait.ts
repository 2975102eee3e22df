import { expirationOf } from '../contract/credentials.ts'
import type { ExchangerConfig } from '../contract/exchanger-env.ts'
import { sleep, type Clock } from '../platform/clock.ts'
import { readAuthorization } from './publish/authorization.ts'
import { readDocument } from './publish/store.ts'
import { readIfPresent } from '../platform/files.ts'
import { TERMINATION_MAX_BYTES } from './resident/termination.ts'

const POLL_MS = 50
/** Above the 30 s after which the resident process gives up, whose reason is the better one. */
const LIMIT_MS = 45_000

/**
 * The gate: it opens once an app can start.
 *
 * @returns why it stays shut: what the sidecar gave up for, or that it took longer than 45 s
 */
export async function waitForCredentials(
  config: ExchangerConfig,
  clock: Clock,
): Promise<string | undefined> {
  const endMs = clock.monotonic() + LIMIT_MS
  for (;;) {
    if (await areThere(config, clock)) return undefined
    const givenUp = await readIfPresent(config.terminationMessageFile, TERMINATION_MAX_BYTES)
    if (givenUp !== undefined && givenUp !== '') return givenUp
    if (clock.monotonic() >= endMs) return 'see the log of the sidecar'
    await sleep(clock, POLL_MS)
  }
}

async function areThere(
  { credentialsFolder, delivery }: ExchangerConfig,
  clock: Clock,
): Promise<boolean> {
  const document = await readDocument(credentialsFolder)
  if (document === undefined || expirationOf(document) <= clock.now()) return false
  return delivery === 'process' || (await readAuthorization(credentialsFolder)) !== undefined
}
