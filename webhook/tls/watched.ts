import type { Cancel, Clock } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'

/** cert-manager renews days ahead, and the kubelet needs up to a minute to update the files of a Secret. */
const POLL_MS = 5000

export interface WatchOptions<T> {
  /** What it is, as the log calls it: `serving certificate`. */
  readonly what: string
  /**
   * What the files hold now; `before`, the same object, if they have not changed.
   *
   * @throws UsageError if they cannot be used
   */
  readonly read: (before: T | undefined) => Promise<T>
  /** Log fields of a new one. */
  readonly describe: (found: T) => Readonly<Record<string, string | number>>
  readonly clock: Clock
  readonly log: Logger
}

/** The content of files that may change. */
export interface Watched<T> {
  /** Undefined until started. */
  current(): T | undefined
  onChange(listener: (found: T) => void): void
  /** Resolves with the first. @throws UsageError if the files cannot be used */
  start(): Promise<T>
  stop(): void
}

/**
 * Reads files periodically. If they cannot be used, such as a pair of which only one half is written yet,
 * the former content stays in use.
 */
export function watch<T extends object>(options: WatchOptions<T>): Watched<T> {
  const { what, read, describe, clock, log } = options
  const listeners: ((found: T) => void)[] = []
  const failures = new FailureLog(what, log)
  let current: T | undefined
  let cancel: Cancel = () => undefined
  let stopped = false

  const poll = async (): Promise<void> => {
    try {
      const found = await read(current)
      failures.clear()
      if (found === current) return
      current = found
      for (const listener of listeners) listener(found)
      log.info(describe(found), `${what} reloaded`)
    } catch (error) {
      failures.note(error)
    }
  }
  const scheduleNext = (): void => {
    if (!stopped) cancel = clock.after(POLL_MS, () => void poll().then(scheduleNext))
  }

  return {
    current: () => current,
    onChange(listener) {
      listeners.push(listener)
    },
    async start() {
      current = await read(undefined)
      scheduleNext()
      return current
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}

/** Logs why a reload failed: once, until the reason changes or a reload succeeds. */
class FailureLog {
  readonly #what: string
  readonly #log: Logger
  #last = ''

  constructor(what: string, log: Logger) {
    this.#what = what
    this.#log = log
  }

  note(error: unknown): void {
    const message = messageOf(error)
    if (message !== this.#last) {
      this.#log.warn({ error: message }, `reload of ${this.#what} failed, keeping the former one`)
    }
    this.#last = message
  }

  clear(): void {
    this.#last = ''
  }
}
