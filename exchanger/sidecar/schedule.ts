import type { Random } from '../../shared/base/clock.ts'
import type { FailureClass } from '../failure.ts'

/**
 * When to call STS and the authority. The pods of a cluster, one or 100,000 behind the same rate limit, are not
 * coordinated, so every time is drawn from a wide range: pods that started or failed together soon call at
 * independent times. `make simulate` shows the effect.
 */

const MINUTE_MS = 60_000

/** Limit for the initial credentials; then the process gives up and says why. */
export const GATE_MS = 30_000

/**
 * Credentials with at least this lifetime are refreshed before the SDKs' own refresh windows. STS grants 30 minutes
 * or more; the 2 minutes below that allow for a slow exchange.
 */
const LONG_LIFETIME_MS = 28 * MINUTE_MS
/** botocore, the CLI and .NET fetch at every call during the last 15 minutes. */
const SDK_WINDOW_MS = 15 * MINUTE_MS
/** Reserve for a slow exchange, or for a few failures. */
const RESERVE_MS = 2 * MINUTE_MS
/** Latest refresh, as a fraction of the lifetime. */
const LATEST = 2 / 3

const RETRY = {
  /** First maximum delay: a sixtieth of the remaining lifetime, but at least a second. */
  firstPart: 1 / 60,
  firstMs: 1000,
  /** Last maximum delay: half of the remaining lifetime, so that there is more than one attempt before expiry. */
  longestPart: 1 / 2,
  /** Without credentials: 100,000 pods then make about 900 calls a second. */
  longestAtLeastMs: 2.5 * MINUTE_MS,
  /** All pods retry within 5 minutes after an outage. */
  longestAtMostMs: 5 * MINUTE_MS,
} as const

/**
 * Time from publishing credentials to their replacement: between a third and two thirds of their lifetime. With a
 * long lifetime they are replaced at least 17 minutes before the published Expiration, which narrows the range; with a
 * lifetime over 40 minutes this is at least 20 minutes before the real expiry.
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
 * The same for credentials that a restarted process finds: their age is unknown, so only the remaining lifetime
 * counts, and with 17 minutes or less left they are replaced immediately.
 */
export function resumeDelayMs(publishedMs: number, random: Random): number {
  const latestMs = Math.min(lifetimeMsOf(publishedMs) * LATEST, outsideWindowMs(publishedMs))
  return spread(latestMs, random)
}

function outsideWindowMs(publishedMs: number): number {
  return Math.max(0, publishedMs - SDK_WINDOW_MS - RESERVE_MS)
}

/** Certificates are replaced within this range of their lifetime: an authority may be down for half of it. */
const CERTIFICATE_PART = { earliest: 0.35, latest: 0.45 } as const

/**
 * Time from publishing a certificate to its replacement: between 35 % and 45 % of its lifetime, or of what remains of
 * it by this node's clock; at least a second if the clocks differ much.
 *
 * @param lifetimeMs from issue to expiry
 * @param validForMs from now to expiry; above 0
 */
export function certificateDelayMs(lifetimeMs: number, validForMs: number, random: Random): number {
  return Math.max(1000, certificatePart(random) * Math.min(lifetimeMs, validForMs))
}

/** The same for a certificate that a restarted process finds: it may be due immediately. */
export function resumedCertificateDelayMs(
  lifetimeMs: number,
  validForMs: number,
  random: Random,
): number {
  const ageMs = Math.max(0, lifetimeMs - validForMs)
  return Math.max(0, certificatePart(random) * lifetimeMs - ageMs)
}

function certificatePart(random: Random): number {
  const { earliest, latest } = CERTIFICATE_PART
  return earliest + (latest - earliest) * random()
}

/** The inverse of publishedExpirationMs in contract/credentials.ts. */
function lifetimeMsOf(publishedMs: number): number {
  return publishedMs + Math.min(5 * MINUTE_MS, publishedMs / 9)
}

/**
 * Delay after a failed exchange: between half of a maximum and the maximum.
 *
 * - `transient`: the maximum doubles with each failure. With valid credentials there is time, so it starts and ends
 *   higher (25 minutes left: 25 s to 5 min) than without (1 s to 2.5 min): those pods have priority.
 * - `refused`, `token`: the last maximum immediately, because a person or the kubelet has to act; a new token ends
 *   the delay early
 *
 * @param failures consecutive failures including this one; from 1
 * @param remainingMs until the published Expiration of the last valid credentials; 0 if there are none
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

/** Evenly distributed between half of it and all of it. */
function spread(latestMs: number, random: Random): number {
  return (latestMs / 2) * (1 + random())
}
