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
  const inProgress = new Map<string, number>()
  const waiting = new Set<Ticket>()
  const waitingOf = new Map<string, number>()
  let busy = 0

  const count = (counts: Map<string, number>, caller: string, by: number): void => {
    const after = (counts.get(caller) ?? 0) + by
    if (after === 0) counts.delete(caller)
    else counts.set(caller, after)
  }
  const isFree = (caller: string): boolean =>
    busy < limits.max && (inProgress.get(caller) ?? 0) < limits.maxPerCaller
  const leave = (ticket: Ticket): void => {
    waiting.delete(ticket)
    count(waitingOf, ticket.address, -1)
  }
  /** Refuses the newest of the caller with the most waiting, if that is more than this caller has. */
  const makeRoom = (caller: string): boolean => {
    let [largest, most] = ['', 0]
    for (const [one, waits] of waitingOf) if (waits > most) [largest, most] = [one, waits]
    if (most <= (waitingOf.get(caller) ?? 0)) return false
    const newest = [...waiting].findLast(({ address }) => address === largest)
    if (newest === undefined) return false
    leave(newest)
    newest.fail(tooMany())
    return true
  }
  const tooMany = (): BusyError =>
    new BusyError('ERR_BUSY', `${waiting.size} requests are already waiting`)
  const advance = (): void => {
    const oldestMs = clock.monotonic() - limits.maxWaitMs
    for (const ticket of waiting) {
      if (ticket.sinceMs >= oldestMs) break // in order of arrival
      leave(ticket)
      ticket.fail(new BusyError('ERR_BUSY', `it has waited for ${limits.maxWaitMs} ms`))
    }
    while (busy < limits.max) {
      const free = [...waiting].filter(({ address }) => isFree(address))
      const next = nextInQueue(free, inProgress)
      if (next === undefined) return
      leave(next)
      next.begin()
    }
  }
  const begin = async <T>(caller: string, work: () => Promise<T>): Promise<T> => {
    busy += 1
    count(inProgress, caller, 1)
    try {
      return await work()
    } finally {
      busy -= 1
      count(inProgress, caller, -1)
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
