/** When STS cannot be reached, in milliseconds of the simulation; `toMs` is the first moment after. */
export interface Outage {
  readonly fromMs: number
  readonly toMs: number
}

/**
 * A token bucket: it holds `burst` calls, each answered one takes one out, and `perSecond` flow in.
 * Source: EC2 API reference, "Request throttling"; STS throttles an account and region alike.
 */
export interface Throttle {
  readonly perSecond: number
  readonly burst: number
}

/** Whether a call at that moment gets credentials; moments never go back. */
export type Sts = (nowMs: number) => boolean

/**
 * STS as a fleet sees it. An answer and a failure both take no time: a failure that comes at once is
 * the worst case for the number of calls.
 */
export function stsWith(outage: Outage | undefined, throttle: Throttle | undefined): Sts {
  const isThere = (nowMs: number): boolean =>
    outage === undefined || nowMs < outage.fromMs || nowMs >= outage.toMs
  if (throttle === undefined) return isThere
  const { perSecond, burst } = throttle
  let calls = burst
  let filledMs = 0
  return (nowMs) => {
    if (!isThere(nowMs)) return false
    calls = Math.min(burst, calls + ((nowMs - filledMs) / 1000) * perSecond)
    filledMs = nowMs
    if (calls < 1) return false
    calls -= 1
    return true
  }
}
