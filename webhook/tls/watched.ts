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
  let current: T | undefined
  let cancel: Cancel = () => undefined
  let warnedOf = ''
  let stopped = false

  const poll = async (): Promise<void> => {
    try {
      const found = await read(current)
      warnedOf = ''
      if (found === current) return
      current = found
      for (const listener of listeners) listener(found)
      log.info(describe(found), `${what} reloaded`)
    } catch (error) {
      const message = messageOf(error)
      if (message !== warnedOf)
        log.warn({ error: message }, `reload of ${what} failed, keeping the former one`)
      warnedOf = message
    }
  }
  const scheduleNext = (): void => {
    if (stopped) return
    cancel = clock.after(POLL_MS, () => void poll().then(scheduleNext))
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
