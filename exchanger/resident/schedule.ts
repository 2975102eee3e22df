import type { Random } from '../../platform/clock.ts'
import type { FailureClass } from '../failure.ts'

const MINUTE_MS = 60_000

/**
 * Lives from here on are kept out of the SDKs' own windows. STS gives 30 minutes or more; the two
 * below that are for the time that a slow exchange itself takes.
 */
const LONG_LIFE_MS = 28 * MINUTE_MS
/** botocore, the CLI and .NET fetch at every call once 15 minutes or less are left. */
const SDK_WINDOW_MS = 15 * MINUTE_MS
/** For a slow exchange, or a few that fail. */
const ROOM_MS = 2 * MINUTE_MS
/** Spreads refreshes, so that pods that started together do not ask together. */
const JITTER = 0.1

const BACKOFF_MS = { first: 1000, longest: MINUTE_MS, shortest: 250 } as const

/**
 * How long after their publishing credentials are to be replaced: at half of their life, give or
 * take a tenth of it. Long lives are replaced while the published Expiration is more than 17 minutes
 * away, whatever the half is; that is at least 20 minutes before the real end of lives over 40.
 *
 * @param publishedMs from now to the published Expiration; above 0
 */
export function refreshDelayMs(publishedMs: number, random: Random): number {
  const lifeMs = lifeOf(publishedMs)
  const half = (lifeMs / 2) * (1 + JITTER * (2 * random() - 1))
  return lifeMs < LONG_LIFE_MS ? half : Math.min(half, latestMs(publishedMs, random))
}

/**
 * The same for credentials that a restarted process finds: how long they have lived is not known, so
 * only what is left counts, and with 17 minutes or less left they are replaced at once.
 */
export function resumeDelayMs(publishedMs: number, random: Random): number {
  return Math.min(refreshDelayMs(publishedMs, random), latestMs(publishedMs, random))
}

function latestMs(publishedMs: number, random: Random): number {
  return Math.max(0, publishedMs - SDK_WINDOW_MS - ROOM_MS) * (1 - JITTER * random())
}

/** Inverse of publishedExpirationMs in contract/credentials.ts. */
function lifeOf(publishedMs: number): number {
  return publishedMs + Math.min(5 * MINUTE_MS, publishedMs / 9)
}

/**
 * How long to wait after a failed exchange.
 *
 * - `transient`: full jitter below 1, 2, 4, … 60 s, so that pods spread out after an outage
 * - `refused`: about a minute, for a person has to act
 * - `token`: a minute at most; a new token ends the wait early
 *
 * @param failures how many in a row, this one included; from 1
 */
export function retryDelayMs(failureClass: FailureClass, failures: number, random: Random): number {
  if (failureClass === 'token') return BACKOFF_MS.longest
  if (failureClass === 'refused') return MINUTE_MS * (0.75 + 0.5 * random())
  const ceiling = Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** (failures - 1))
  return Math.max(BACKOFF_MS.shortest, ceiling * random())
}
