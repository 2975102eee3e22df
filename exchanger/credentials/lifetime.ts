import type { Claims } from './token.ts'

/** Sessions of STS last at most 12 hours. Source: STS API reference, DurationSeconds. */
const MAX_MS = 12 * 3_600_000
/** Tolerated error of a clock. */
const TOLERANCE_MS = 15 * 60_000
/** Tolerated difference from the requested lifetime: `Date` has whole seconds, and responses take a while. */
const PRECISION_MS = 60_000

/** STS accepted the token, so its clock is within the token's lifetime; any other `Date` is not from STS. */
export function isPlausibleStsTime(
  stsNowMs: number | undefined,
  { issuedAtMs = -Infinity, expiresAtMs = Infinity }: Claims,
): boolean {
  return (
    stsNowMs !== undefined &&
    stsNowMs >= issuedAtMs - TOLERANCE_MS &&
    stsNowMs <= expiresAtMs + TOLERANCE_MS
  )
}

/** Times in milliseconds since the epoch. */
interface Clocks {
  /** By the clock of STS. */
  readonly expiresAtMs: number
  /** By the node's clock, before the request to STS. */
  readonly nodeNowMs: number
  /** By the `Date` of the response; undefined if it is absent or implausible. */
  readonly stsNowMs: number | undefined
  /** The requested lifetime. */
  readonly requestedMs: number
}

/**
 * The lifetime of credentials from the request to STS on; undefined if it cannot be determined. Either clock may be
 * wrong: the node's, or the `Date`, which a proxy may have written. STS grants the requested lifetime, so the clock
 * that confirms it is right. If neither does, the shorter lifetime is used: replacing credentials too early does no
 * harm, publishing an expiry that is too late does. The result is never longer than requested.
 */
export function lifetimeMsOf({
  expiresAtMs,
  nodeNowMs,
  stsNowMs,
  requestedMs,
}: Clocks): number | undefined {
  const candidates = [stsNowMs, nodeNowMs]
    .filter((nowMs) => nowMs !== undefined)
    .map((nowMs) => expiresAtMs - nowMs)
    .filter((lifetimeMs) => lifetimeMs > 0 && lifetimeMs <= MAX_MS + TOLERANCE_MS)
  if (candidates.length === 0) return undefined
  const asRequested = candidates.find(
    (lifetimeMs) => Math.abs(lifetimeMs - requestedMs) <= PRECISION_MS,
  )
  return Math.min(requestedMs, asRequested ?? Math.min(...candidates))
}
