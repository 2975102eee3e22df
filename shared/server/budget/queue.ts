import type { Cancel, Clock } from '../../base/clock.ts'
import { TokenBucket, type RateLimit } from './token-bucket.ts'

/** An entry of a queue. */
export interface Entry {
  readonly address: string
  begin(): void
}

/** Starts costly work within a rate limit, which is shared fairly among addresses. */
export interface Queue<W extends Entry> {
  readonly waiting: number
  /** Starts the entry immediately if the rate limit allows it, otherwise later. */
  add(one: W): void
  /** Removes a waiting entry. */
  delete(one: W): void
  /** To be called when the result of `mayBegin` may have changed. */
  advance(): void
  stop(): void
}

/**
 * The next entry to start: the first one of the address with the fewest recent starts. Pure. Within one address it is
 * first come, first served.
 */
export function nextInQueue<W extends Entry>(
  waiting: Iterable<W>,
  recentStarts: ReadonlyMap<string, number>,
): W | undefined {
  let next: W | undefined
  let fewest = Infinity
  for (const one of waiting) {
    const starts = recentStarts.get(one.address) ?? 0
    if (starts >= fewest) continue
    next = one
    fewest = starts
  }
  return next
}

/**
 * Starts one entry per iteration of the event loop, so that cheaper work that arrives meanwhile does not wait for all
 * of them.
 */
export function createTickQueue<W extends Entry>(): Pick<Queue<W>, 'add' | 'waiting'> {
  const waiting = new Set<W>()
  const recent = new Map<string, number>()
  const advance = (): void => {
    const next = nextInQueue(waiting, recent)
    if (next === undefined) {
      recent.clear()
      return
    }
    recent.set(next.address, (recent.get(next.address) ?? 0) + 1)
    waiting.delete(next)
    next.begin()
    setImmediate(advance)
  }
  return {
    get waiting() {
      return waiting.size
    },
    add(one) {
      waiting.add(one)
      if (waiting.size === 1) setImmediate(advance)
    },
  }
}

/**
 * @param mayBegin whether an entry of this address may start now, apart from the rate limit; always if absent
 */
export function createQueue<W extends Entry>(
  limit: RateLimit,
  clock: Clock,
  mayBegin: (address: string) => boolean = () => true,
): Queue<W> {
  return new LimitedQueue(limit, clock, mayBegin)
}

/** Interval for calling `mayBegin` again if `advance` is not called. */
const RECHECK_MS = 50

class LimitedQueue<W extends Entry> implements Queue<W> {
  readonly #clock: Clock
  readonly #mayBegin: (address: string) => boolean
  readonly #tokens: TokenBucket
  readonly #recent: RecentStarts
  readonly #waiting = new Set<W>()
  #cancel: Cancel | undefined

  constructor(limit: RateLimit, clock: Clock, mayBegin: (address: string) => boolean) {
    const nowMs = clock.monotonic()
    this.#clock = clock
    this.#mayBegin = mayBegin
    this.#tokens = new TokenBucket(limit, nowMs)
    this.#recent = new RecentStarts(nowMs)
  }

  get waiting(): number {
    return this.#waiting.size
  }

  add(one: W): void {
    this.#update()
    if (this.#tokens.hasOne && this.#waiting.size === 0 && this.#mayBegin(one.address)) {
      this.#begin(one)
      return
    }
    this.#waiting.add(one)
    if (this.#cancel === undefined) this.#beginAll()
  }

  delete(one: W): void {
    this.#waiting.delete(one)
  }

  advance(): void {
    if (this.#waiting.size > 0 && this.#tokens.hasOne) this.#beginAll()
  }

  stop(): void {
    this.#cancelTimer()
    this.#waiting.clear()
  }

  /** Starts all that may start now, and looks again when the next one may. */
  #beginAll(): void {
    this.#cancelTimer()
    if (this.#waiting.size === 0) return
    this.#update()
    while (this.#tokens.hasOne) {
      const one = this.#next()
      if (one === undefined) break
      this.#waiting.delete(one)
      this.#begin(one)
    }
    if (this.#waiting.size === 0) return
    const { untilNextMs } = this.#tokens
    this.#cancel = this.#clock.after(
      untilNextMs > 0 ? Math.max(1, untilNextMs) : RECHECK_MS,
      () => {
        this.#beginAll()
      },
    )
  }

  #begin(one: W): void {
    this.#tokens.take()
    this.#recent.add(one.address)
    one.begin()
  }

  #next(): W | undefined {
    const answers = new Map<string, boolean>()
    const mayGo = ({ address }: W): boolean => {
      const answer = answers.get(address) ?? this.#mayBegin(address)
      answers.set(address, answer)
      return answer
    }
    return nextInQueue([...this.#waiting].filter(mayGo), this.#recent.counts)
  }

  #update(): void {
    const nowMs = this.#clock.monotonic()
    this.#tokens.fill(nowMs)
    this.#recent.age(nowMs)
  }

  #cancelTimer(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}

/** Half-life of the count of recent starts of an address. */
const HALVING_MS = 1000

/** Counts the starts of each address, and halves the counts as time passes. */
class RecentStarts {
  readonly #counts = new Map<string, number>()
  #halvedMs: number

  constructor(nowMs: number) {
    this.#halvedMs = nowMs
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  add(address: string): void {
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1)
  }

  age(nowMs: number): void {
    const halvings = Math.floor((nowMs - this.#halvedMs) / HALVING_MS)
    if (halvings === 0) return
    this.#halvedMs += halvings * HALVING_MS
    for (const [address, starts] of this.#counts) {
      const left = starts / 2 ** halvings
      if (left < 0.5) this.#counts.delete(address)
      else this.#counts.set(address, left)
    }
  }
}
