import type { Clock } from '../../base/clock.ts'
import { NocredsError } from '../../base/errors.ts'
import { nextInQueue } from './queue.ts'

/** Work for a caller that is not begun, as there is too much of it. */
export class BusyError extends NocredsError<'ERR_BUSY'> {}

export interface SlotLimits {
  /** Under way at once, in all and for one caller. */
  readonly max: number
  readonly maxPerCaller: number
  /** Waiting, in all and for one caller. */
  readonly maxWaiting: number
  readonly maxWaitingPerCaller: number
  /** Nobody needs the result of what has waited for longer. */
  readonly maxWaitMs: number
}

/** Runs a bounded amount of work at once, and shares it fairly among callers. */
export interface FairSlots {
  /** @throws BusyError where too much is waiting, or it has waited for too long; else as `work` */
  run<T>(caller: string, work: () => Promise<T>): Promise<T>
}

interface Ticket {
  readonly address: string
  readonly sinceMs: number
  begin(): void
  fail(error: BusyError): void
}

export function createFairSlots(limits: SlotLimits, clock: Clock): FairSlots {
  const underWay = new Map<string, number>()
  const waiting = new Set<Ticket>()
  const waitingOf = new Map<string, number>()
  let busy = 0

  const count = (counts: Map<string, number>, caller: string, by: number): void => {
    const after = (counts.get(caller) ?? 0) + by
    if (after === 0) counts.delete(caller)
    else counts.set(caller, after)
  }
  const isFree = (caller: string): boolean =>
    busy < limits.max && (underWay.get(caller) ?? 0) < limits.maxPerCaller
  const leave = (ticket: Ticket): void => {
    waiting.delete(ticket)
    count(waitingOf, ticket.address, -1)
  }
  /** Takes the newest of the caller that has the most waiting, if that is more than this one has. */
  const makeRoom = (caller: string): boolean => {
    let [greediest, most] = ['', 0]
    for (const [one, waits] of waitingOf) if (waits > most) [greediest, most] = [one, waits]
    if (most <= (waitingOf.get(caller) ?? 0)) return false
    const newest = [...waiting].findLast(({ address }) => address === greediest)
    if (newest === undefined) return false
    leave(newest)
    newest.fail(tooMany())
    return true
  }
  const tooMany = (): BusyError =>
    new BusyError('ERR_BUSY', `${waiting.size} requests are waiting already`)
  const advance = (): void => {
    const oldestMs = clock.monotonic() - limits.maxWaitMs
    for (const ticket of waiting) {
      if (ticket.sinceMs >= oldestMs) break // in the order in which they came
      leave(ticket)
      ticket.fail(new BusyError('ERR_BUSY', `it has waited for ${limits.maxWaitMs} ms`))
    }
    while (busy < limits.max) {
      const free = [...waiting].filter(({ address }) => isFree(address))
      const next = nextInQueue(free, underWay)
      if (next === undefined) return
      leave(next)
      next.begin()
    }
  }
  const begin = async <T>(caller: string, work: () => Promise<T>): Promise<T> => {
    busy += 1
    count(underWay, caller, 1)
    try {
      return await work()
    } finally {
      busy -= 1
      count(underWay, caller, -1)
      advance()
    }
  }

  return {
    run(caller, work) {
      if (waiting.size === 0 && isFree(caller)) return begin(caller, work)
      const isRefused =
        (waitingOf.get(caller) ?? 0) >= limits.maxWaitingPerCaller ||
        (waiting.size >= limits.maxWaiting && !makeRoom(caller))
      if (isRefused) return Promise.reject(tooMany())
      return new Promise((resolve, reject) => {
        waiting.add({
          address: caller,
          sinceMs: clock.monotonic(),
          begin: () => {
            resolve(begin(caller, work))
          },
          fail: reject,
        })
        count(waitingOf, caller, 1)
        advance()
      })
    },
  }
}
