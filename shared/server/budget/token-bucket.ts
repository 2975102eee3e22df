/** How often costly work may be started. */
export interface RateLimit {
  readonly perSecond: number
  /** How many may be started at once after an idle time. */
  readonly burst: number
}

/** What a rate limit allows now: each start takes a token, and time brings new ones. */
export class TokenBucket {
  readonly #limit: RateLimit
  #tokens: number
  #filledMs: number

  constructor(limit: RateLimit, nowMs: number) {
    this.#limit = limit
    this.#tokens = limit.burst
    this.#filledMs = nowMs
  }

  get hasOne(): boolean {
    return this.#tokens >= 1
  }

  /** Time until there is a token; 0 or less if there is one. */
  get untilNextMs(): number {
    return ((1 - this.#tokens) * 1000) / this.#limit.perSecond
  }

  fill(nowMs: number): void {
    const { perSecond, burst } = this.#limit
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#filledMs) * perSecond) / 1000)
    this.#filledMs = nowMs
  }

  take(): void {
    this.#tokens -= 1
  }
}
