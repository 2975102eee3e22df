import type { Clock } from '../../base/clock.ts'
import { NocredsError } from '../../base/errors.ts'
import { nextInQueue } from './queue.ts'

/** Work was not started, because there is too much of it. */
export class BusyError extends NocredsError<'ERR_BUSY'> {}

export interface SlotLimits {
  /** Running concurrently, in total and for one caller. */
  readonly max: number
  readonly maxPerCaller: number
  /** Waiting, in total and for one caller. */
  readonly maxWaiting: number
  readonly maxWaitingPerCaller: number
  /** Work that has waited longer is refused, because its result is no longer needed. */
  readonly maxWaitMs: number
}

/** Limits concurrent work, and shares the slots fairly among callers. */
export interface FairSlots {
  /** @throws BusyError if too much is waiting, or it has waited too long; otherwise the same as `work` */
  run<T>(caller: string, work: () => Promise<T>): Promise<T>
}

interface Ticket {
  readonly address: string
  readonly sinceMs: number
  begin(): void
  fail(error: BusyError): void
}

export function createFairSlots(limits: SlotLimits, clock: Clock): FairSlots {
  return new LimitedSlots(limits, clock)
}

class LimitedSlots implements FairSlots {
  readonly #limits: SlotLimits
  readonly #clock: Clock
  readonly #running = new Map<string, number>()
  readonly #waiting = new WaitingLine()
  #busy = 0

  constructor(limits: SlotLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  run<T>(caller: string, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting
    if (waiting.size === 0 && this.#isFree(caller)) return this.#begin(caller, work)
    const isRefused =
      waiting.countOf(caller) >= this.#limits.maxWaitingPerCaller ||
      (waiting.size >= this.#limits.maxWaiting && !this.#makeRoom(caller))
    if (isRefused) return Promise.reject(this.#tooMany())
    return new Promise((resolve, reject) => {
      waiting.add({
        address: caller,
        sinceMs: this.#clock.monotonic(),
        begin: () => {
          resolve(this.#begin(caller, work))
        },
        fail: reject,
      })
      this.#advance()
    })
  }

  async #begin<T>(caller: string, work: () => Promise<T>): Promise<T> {
    this.#busy += 1
    count(this.#running, caller, 1)
    try {
      return await work()
    } finally {
      this.#busy -= 1
      count(this.#running, caller, -1)
      this.#advance()
    }
  }

  #advance(): void {
    this.#refuseLate()
    while (this.#busy < this.#limits.max) {
      const free = [...this.#waiting.tickets()].filter(({ address }) => this.#isFree(address))
      const next = nextInQueue(free, this.#running)
      if (next === undefined) return
      this.#waiting.delete(next)
      next.begin()
    }
  }

  #isFree(caller: string): boolean {
    const { max, maxPerCaller } = this.#limits
    return this.#busy < max && (this.#running.get(caller) ?? 0) < maxPerCaller
  }

  #refuseLate(): void {
    const { maxWaitMs } = this.#limits
    const oldestMs = this.#clock.monotonic() - maxWaitMs
    for (const ticket of this.#waiting.tickets()) {
      if (ticket.sinceMs >= oldestMs) break // in order of arrival
      this.#waiting.delete(ticket)
      ticket.fail(new BusyError('ERR_BUSY', `it has waited for ${maxWaitMs} ms`))
    }
  }

  /** Refuses the newest of the caller with the most waiting, if that is more than this caller has. */
  #makeRoom(caller: string): boolean {
    const newest = this.#waiting.newestOfLargest(caller)
    if (newest === undefined) return false
    this.#waiting.delete(newest)
    newest.fail(this.#tooMany())
    return true
  }

  #tooMany(): BusyError {
    return new BusyError('ERR_BUSY', `${this.#waiting.size} requests are already waiting`)
  }
}

/** Tickets in order of arrival, and how many each caller has. */
class WaitingLine {
  readonly #tickets = new Set<Ticket>()
  readonly #perCaller = new Map<string, number>()

  get size(): number {
    return this.#tickets.size
  }

  tickets(): Iterable<Ticket> {
    return this.#tickets
  }

  countOf(caller: string): number {
    return this.#perCaller.get(caller) ?? 0
  }

  add(ticket: Ticket): void {
    this.#tickets.add(ticket)
    count(this.#perCaller, ticket.address, 1)
  }

  delete(ticket: Ticket): void {
    this.#tickets.delete(ticket)
    count(this.#perCaller, ticket.address, -1)
  }

  /** The newest ticket of the caller with the most of them; undefined if this caller has as many. */
  newestOfLargest(caller: string): Ticket | undefined {
    let [largest, most] = ['', 0]
    for (const [one, waits] of this.#perCaller) if (waits > most) [largest, most] = [one, waits]
    if (most <= this.countOf(caller)) return undefined
    return [...this.#tickets].findLast(({ address }) => address === largest)
  }
}

/** Keys with a count of 0 are forgotten. */
function count(counts: Map<string, number>, key: string, by: number): void {
  const after = (counts.get(key) ?? 0) + by
  if (after === 0) counts.delete(key)
  else counts.set(key, after)
}
