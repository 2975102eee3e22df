import type { Cancel, Clock } from '../shared/base/clock.ts'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly cancel: Cancel
}

/** The pods that wait for their first item, each for so long at most. */
export class Waiting {
  readonly #clock: Clock
  readonly #waiters = new Map<string, Waiter>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The uids of those that wait. */
  uids(): readonly string[] {
    return [...this.#waiters.keys()]
  }

  /**
   * Resolves or rejects with {@link succeed} or {@link fail}. One call a pod at a time.
   *
   * @param onTimeout called after `limitMs`; it has to let the pod succeed or fail
   */
  wait(uid: string, limitMs: number, onTimeout: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.set(uid, { resolve, reject, cancel: this.#clock.after(limitMs, onTimeout) })
    })
  }

  succeed(uid: string): void {
    this.#take(uid)?.resolve()
  }

  fail(uid: string, error: Error): void {
    this.#take(uid)?.reject(error)
  }

  #take(uid: string): Waiter | undefined {
    const waiter = this.#waiters.get(uid)
    this.#waiters.delete(uid)
    waiter?.cancel()
    return waiter
  }
}
