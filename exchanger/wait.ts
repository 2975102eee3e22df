import { expirationOf } from '../contract/credentials.ts'
import type { ExchangerConfig } from '../contract/exchanger-env.ts'
import { sleep, type Clock } from '../platform/clock.ts'
import { readAuthorization } from './publish/authorization.ts'
import { readDocument } from './publish/store.ts'

const POLL_MS = 50
/** Above the 30 s after which the resident process gives up, whose reason is the better one. */
const LIMIT_MS = 45_000

/** The gate: true once an app can start, false where that takes longer than 45 s. */
export async function waitForCredentials(
  { credentialsFolder, delivery }: ExchangerConfig,
  clock: Clock,
): Promise<boolean> {
  const endMs = clock.monotonic() + LIMIT_MS
  for (;;) {
    const document = await readDocument(credentialsFolder)
    const isFresh = document !== undefined && expirationOf(document) > clock.now()
    if (isFresh && (delivery === 'process' || (await readAuthorization(credentialsFolder)))) {
      return true
    }
    if (clock.monotonic() >= endMs) return false
    await sleep(clock, POLL_MS)
  }
}
