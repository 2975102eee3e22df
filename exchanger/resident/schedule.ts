import type { Random } from '../../platform/clock.ts'
import type { FailureKind } from '../failure.ts'

const MINUTE_MS = 60_000

/** Lives from here on are long enough to keep SDKs out of their own 15-minute windows. */
const LONG_LIFE_MS = 30 * MINUTE_MS
/** botocore, .NET and the CLI fetch at every call once 15 minutes or less are left. */
const SDK_WINDOW_MS = 15 * MINUTE_MS
/** For a slow exchange, or a few failed ones. */
const ROOM_MS = 2 * MINUTE_MS

/** Refresh is spread by this part around the middle, so that a fleet does not ask in step. */
const JITTER = 0.1

const BACKOFF_MS = { first: 1000, cap: MINUTE_MS, least: 250 } as const
const SLOW_RETRY_MS = MINUTE_MS

/**
 * How long after their publishing credentials are to be replaced.
 *
 * At half of their life, give or take a tenth; but always while more than 15 minutes are left of the
 * published time, where the life allows it, because SDKs with an early window would otherwise fetch at
 * every call. With lives of 40 minutes and more that is at the latest 20 minutes before the real end.
 *
 * @param publishedMs from now to the published Expiration; above 0
 */
export function refreshDelayMs(publishedMs: number, random: Random): number {
  const lifeMs = lifeOfPublished(publishedMs)
  const middle = middleOf(lifeMs, random)
  return lifeMs < LONG_LIFE_MS
    ? Math.min(middle, publishedMs)
    : Math.min(middle, latest(publishedMs, random))
}

/**
 * The same for credentials that were found at start: how long they lived before is not known, so what
 * is left counts, and little left means at once.
 */
export function resumeDelayMs(publishedMs: number, random: Random): number {
  return Math.min(middleOf(lifeOfPublished(publishedMs), random), latest(publishedMs, random))
}

function middleOf(lifeMs: number, random: Random): number {
  return (lifeMs / 2) * (1 + JITTER * (2 * random() - 1))
}

function latest(publishedMs: number, random: Random): number {
  return Math.max(0, publishedMs - SDK_WINDOW_MS - ROOM_MS) * (1 - JITTER * random())
}

/** Inverse of publishedExpirationMs in contract/credentials.ts. */
function lifeOfPublished(publishedMs: number): number {
  return publishedMs + Math.min(5 * MINUTE_MS, publishedMs / 9)
}

/**
 * How long to wait after a failed exchange.
 *
 * - `transient`: full jitter below 1, 2, 4, … 60 s, so that a fleet spreads out after an outage
 * - `token`: the same cap at once; a new token ends the wait early
 * - `refused`: about a minute, for IAM needs a person
 *
 * @param failures how many in a row, this one included; from 1
 */
export function retryDelayMs(kind: FailureKind, failures: number, random: Random): number {
  if (kind === 'refused') return SLOW_RETRY_MS * (0.75 + 0.5 * random())
  if (kind === 'token') return BACKOFF_MS.cap
  const ceiling = Math.min(BACKOFF_MS.cap, BACKOFF_MS.first * 2 ** Math.min(failures - 1, 10))
  return Math.max(BACKOFF_MS.least, ceiling * random())
}
