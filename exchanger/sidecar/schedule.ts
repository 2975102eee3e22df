import type { Random } from '../../shared/base/clock.ts'
import type { FailureClass } from '../failure.ts'

/**
 * When to call STS and the authority. Nobody coordinates the pods of a cluster, which may be one or 100,000 behind one
 * throttle, so every moment is drawn from a wide span: pods that started together, or failed together,
 * soon call at moments that have nothing to do with one another. `make simulate` shows what follows.
 */

const MINUTE_MS = 60_000

/** How long the first credentials may take; then the process gives up and says why. */
export const GATE_MS = 30_000

/**
 * Lives from here on are kept out of the SDKs' own windows. STS gives 30 minutes or more; the two
 * below that are for the time that a slow exchange itself takes.
 */
const LONG_LIFETIME_MS = 28 * MINUTE_MS
/** botocore, the CLI and .NET fetch at every call once 15 minutes or less are left. */
const SDK_WINDOW_MS = 15 * MINUTE_MS
/** For a slow exchange, or a few that fail. */
const ROOM_MS = 2 * MINUTE_MS
/** Refreshes come no later than this part of the life. */
const LATEST = 2 / 3

const RETRY = {
  /** The first ceiling: a sixtieth of what the credentials have left, but never below a second. */
  firstPart: 1 / 60,
  firstMs: 1000,
  /** The last ceiling: half of what they have left, so that more than one try comes before the end. */
  longestPart: 1 / 2,
  /** Without credentials: 100,000 pods then make some 900 calls a second. */
  longestAtLeastMs: 2.5 * MINUTE_MS,
  /** So that all have called again within 5 minutes of the end of an outage. */
  longestAtMostMs: 5 * MINUTE_MS,
} as const

/**
 * How long after their publishing credentials are to be replaced: a moment between a third and two
 * thirds of their life. Long lives are replaced while the published Expiration is 17 minutes away or
 * more, and the span shrinks with that; it is at least 20 minutes before the real end of lives over 40.
 *
 * @param publishedMs from now to the published Expiration; above 0
 */
export function refreshDelayMs(publishedMs: number, random: Random): number {
  const lifetimeMs = lifetimeMsOf(publishedMs)
  const latestMs = lifetimeMs * LATEST
  const isLong = lifetimeMs >= LONG_LIFETIME_MS
  return spread(isLong ? Math.min(latestMs, outsideWindowMs(publishedMs)) : latestMs, random)
}

/**
 * The same for credentials that a restarted process finds: how long they have lived is not known, so
 * only what is left counts, and with 17 minutes or less left they are replaced at once.
 */
export function resumeDelayMs(publishedMs: number, random: Random): number {
  const latestMs = Math.min(lifetimeMsOf(publishedMs) * LATEST, outsideWindowMs(publishedMs))
  return spread(latestMs, random)
}

function outsideWindowMs(publishedMs: number): number {
  return Math.max(0, publishedMs - SDK_WINDOW_MS - ROOM_MS)
}

/** Certificates are replaced in this part of their life: an authority may be down for half of one. */
const CERTIFICATE_PART = { earliest: 0.35, latest: 0.45 } as const

/**
 * How long after its publishing a certificate is to be replaced: a moment between 35 % and 45 % of its
 * life, or of what this node's clock leaves of it; a second at least, should they be far apart.
 *
 * @param lifetimeMs from its issue to its end
 * @param goodForMs from now to its end; above 0
 */
export function certificateDelayMs(lifetimeMs: number, goodForMs: number, random: Random): number {
  return Math.max(1000, certificatePart(random) * Math.min(lifetimeMs, goodForMs))
}

/** The same for one that a restarted process finds: its life goes on, so it may be due at once. */
export function resumedCertificateDelayMs(
  lifetimeMs: number,
  goodForMs: number,
  random: Random,
): number {
  const livedMs = Math.max(0, lifetimeMs - goodForMs)
  return Math.max(0, certificatePart(random) * lifetimeMs - livedMs)
}

function certificatePart(random: Random): number {
  const { earliest, latest } = CERTIFICATE_PART
  return earliest + (latest - earliest) * random()
}

/** Inverse of publishedExpirationMs in contract/credentials.ts. */
function lifetimeMsOf(publishedMs: number): number {
  return publishedMs + Math.min(5 * MINUTE_MS, publishedMs / 9)
}

/**
 * How long to wait after a failed exchange: between half of a ceiling and all of it.
 *
 * - `transient`: the ceiling doubles with each failure. Where credentials are still good there is time,
 *   so it begins and ends higher (25 minutes left: 25 s to 5 min) than where there are none (1 s to
 *   2.5 min): those pods go first.
 * - `refused`, `token`: the last ceiling at once, for a person has to act, or the kubelet; a new token
 *   ends the wait early
 *
 * @param failures how many in a row, this one included; from 1
 * @param remainingMs until the published Expiration of the last good credentials; 0 where there are none
 */
export function retryDelayMs(
  failureClass: FailureClass,
  failures: number,
  remainingMs: number,
  random: Random,
): number {
  const { firstPart, firstMs, longestPart, longestAtLeastMs, longestAtMostMs } = RETRY
  const longest = Math.min(longestAtMostMs, Math.max(longestAtLeastMs, remainingMs * longestPart))
  if (failureClass !== 'transient') return spread(longest, random)
  const first = Math.max(firstMs, remainingMs * firstPart)
  return spread(Math.min(longest, first * 2 ** (failures - 1)), random)
}

/** Evenly between half of it and all of it. */
function spread(latestMs: number, random: Random): number {
  return (latestMs / 2) * (1 + random())
}
