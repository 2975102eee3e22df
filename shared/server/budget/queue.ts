import type { Cancel, Clock } from '../../base/clock.ts'

/** How often something costly may be begun. */
export interface RateLimit {
  readonly perSecond: number
  /** What may be begun at once after a quiet time. */
  readonly burst: number
}

/** Something that waits for its turn. */
export interface Waiting {
  readonly address: string
  begin(): void
}

/** Lets costly things begin no more often than a ration allows, and shares it fairly by address. */
export interface Queue<W extends Waiting> {
  readonly waiting: number
  /** Begins it at once if the ration allows, else later, in turn. */
  add(one: W): void
  /** It no longer waits. */
  delete(one: W): void
  /** Something has changed that `mayBegin` depends on. */
  advance(): void
  stop(): void
}

/** What an address had lately counts for this long, halving. */
const HALVING_MS = 1000

/**
 * Whose turn it is: the first one of the address that had the fewest turns lately. Pure. Within one
 * address it is first come, first served.
 */
export function nextInQueue<W extends Waiting>(
  waiting: Iterable<W>,
  turnsLately: ReadonlyMap<string, number>,
): W | undefined {
  let next: W | undefined
  let fewest = Infinity
  for (const one of waiting) {
    const turns = turnsLately.get(one.address) ?? 0
    if (turns >= fewest) continue
    next = one
    fewest = turns
  }
  return next
}

/**
 * Lets one begin in each turn of the event loop, so that what comes in meanwhile, and costs less, does not
 * wait for all of them.
 */
export function createTickQueue<W extends Waiting>(): Pick<Queue<W>, 'add' | 'waiting'> {
  const waiting = new Set<W>()
  const lately = new Map<string, number>()
  const advance = (): void => {
    const next = nextInQueue(waiting, lately)
    if (next === undefined) {
      lately.clear()
      return
    }
    lately.set(next.address, (lately.get(next.address) ?? 0) + 1)
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

/** How often `mayBegin` is asked again where nobody says that something has changed. */
const AGAIN_MS = 50

/**
 * @param mayBegin whether one of this address may begin now, apart from the ration; all if absent
 */
export function createQueue<W extends Waiting>(
  { perSecond, burst }: RateLimit,
  clock: Clock,
  mayBegin: (address: string) => boolean = () => true,
): Queue<W> {
  const waiting = new Set<W>()
  const lately = new Map<string, number>()
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
    for (const [address, turns] of lately) {
      const left = turns / 2 ** halvings
      if (left < 0.5) lately.delete(address)
      else lately.set(address, left)
    }
  }
  const begin = (one: W): void => {
    tokens -= 1
    lately.set(one.address, (lately.get(one.address) ?? 0) + 1)
    one.begin()
  }
  const next = (): W | undefined => {
    const answers = new Map<string, boolean>()
    const mayGo = ({ address }: W): boolean => {
      const answer = answers.get(address) ?? mayBegin(address)
      answers.set(address, answer)
      return answer
    }
    return nextInQueue([...waiting].filter(mayGo), lately)
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
    cancel = clock.after(untilTokenMs > 0 ? Math.max(1, untilTokenMs) : AGAIN_MS, advance)
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
