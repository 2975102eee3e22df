import type { Claims } from './token.ts'

/** No session of STS is longer than 12 hours. Source: STS API reference, DurationSeconds. */
const LONGEST_MS = 12 * 3_600_000
/** A clock may be wrong by this much. */
const TOLERANCE_MS = 15 * 60_000
/** A life within this of what was asked for is what was asked for: `Date` has seconds, answers take a while. */
const SAME_MS = 60_000

/** STS took the token, so its own clock is within the token's life; a `Date` that is not was written by someone else. */
export function isPlausible(
  stsNowMs: number | undefined,
  { issuedAtMs = -Infinity, expiresAtMs = Infinity }: Claims,
): boolean {
  return (
    stsNowMs !== undefined &&
    stsNowMs >= issuedAtMs - TOLERANCE_MS &&
    stsNowMs <= expiresAtMs + TOLERANCE_MS
  )
}

/** Moments in milliseconds since the epoch. */
interface Clocks {
  /** As STS says it, by its own clock. */
  readonly expiresAtMs: number
  /** By the node's clock, before STS was asked. */
  readonly nodeNowMs: number
  /** By the `Date` of the answer; undefined without one, and for one that cannot be right. */
  readonly stsNowMs: number | undefined
  /** The life that was asked for. */
  readonly wantedMs: number
}

/**
 * How long credentials live from the moment that STS was asked; undefined where that cannot be told. Either clock
 * may be wrong: the node's, or the `Date`, which a proxy between may have written. STS gives what was asked for, so
 * the clock by which that is so is right. Where neither says so, the shorter life counts: credentials that are
 * replaced too early do no harm, those said to live when they are dead do. No life is longer than what was asked for.
 */
export function lifetimeMsOf({
  expiresAtMs,
  nodeNowMs,
  stsNowMs,
  wantedMs,
}: Clocks): number | undefined {
  const candidates = [stsNowMs, nodeNowMs]
    .filter((nowMs) => nowMs !== undefined)
    .map((nowMs) => expiresAtMs - nowMs)
    .filter((lifetimeMs) => lifetimeMs > 0 && lifetimeMs <= LONGEST_MS + TOLERANCE_MS)
  if (candidates.length === 0) return undefined
  const asWanted = candidates.find((lifetimeMs) => Math.abs(lifetimeMs - wantedMs) <= SAME_MS)
  return Math.min(wantedMs, asWanted ?? Math.min(...candidates))
}
