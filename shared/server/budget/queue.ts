import type { Cancel, Clock } from '../../base/clock.ts'

/** How often costly work may be started. */
export interface RateLimit {
  readonly perSecond: number
  /** How many may be started at once after an idle time. */
  readonly burst: number
}

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

/** Half-life of the count of recent starts of an address. */
const HALVING_MS = 1000

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

/** Interval for calling `mayBegin` again if `advance` is not called. */
const RECHECK_MS = 50

/**
 * @param mayBegin whether an entry of this address may start now, apart from the rate limit; always if absent
 */
export function createQueue<W extends Entry>(
  { perSecond, burst }: RateLimit,
  clock: Clock,
  mayBegin: (address: string) => boolean = () => true,
): Queue<W> {
  const waiting = new Set<W>()
  const recent = new Map<string, number>()
  let tokens = burst
  let filledMs = clock.monotonic()
  let halvedMs = filledMs
  let cancel: Cancel | undefined

  const fill = (nowMs: number): void => {
    tokens = Math.min(burst, tokens + ((nowMs - filledMs) * perSecond) / 1000)
    filledMs = nowMs
    const halvings = Math.floor((nowMs - halvedMs) / HALVING_MS)
    if (halvings === 0) return
    halvedMs += halvings * HALVING_MS
    for (const [address, starts] of recent) {
      const left = starts / 2 ** halvings
      if (left < 0.5) recent.delete(address)
      else recent.set(address, left)
    }
  }
  const begin = (one: W): void => {
    tokens -= 1
    recent.set(one.address, (recent.get(one.address) ?? 0) + 1)
    one.begin()
  }
  const next = (): W | undefined => {
    const answers = new Map<string, boolean>()
    const mayGo = ({ address }: W): boolean => {
      const answer = answers.get(address) ?? mayBegin(address)
      answers.set(address, answer)
      return answer
    }
    return nextInQueue([...waiting].filter(mayGo), recent)
  }
  const advance = (): void => {
    cancel?.()
    cancel = undefined
    if (waiting.size === 0) return
    fill(clock.monotonic())
    while (tokens >= 1) {
      const one = next()
      if (one === undefined) break
      waiting.delete(one)
      begin(one)
    }
    if (waiting.size === 0) return
    const untilTokenMs = ((1 - tokens) * 1000) / perSecond
    cancel = clock.after(untilTokenMs > 0 ? Math.max(1, untilTokenMs) : RECHECK_MS, advance)
  }
  return {
    get waiting() {
      return waiting.size
    },
    add(one) {
      fill(clock.monotonic())
      if (tokens >= 1 && waiting.size === 0 && mayBegin(one.address)) {
        begin(one)
        return
      }
      waiting.add(one)
      if (cancel === undefined) advance()
    },
    delete(one) {
      waiting.delete(one)
    },
    advance() {
      if (waiting.size > 0 && tokens >= 1) advance()
    },
    stop() {
      cancel?.()
      cancel = undefined
      waiting.clear()
    },
  }
}
