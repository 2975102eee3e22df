import type { Cancel, Clock } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'

/** cert-manager renews days ahead, and the kubelet needs up to a minute to bring a Secret's new data. */
const LOOK_MS = 5000

export interface WatchOptions<T> {
  /** What it is, as the log calls it: `serving certificate`. */
  readonly what: string
  /**
   * What the files hold now; `before`, the object itself, where they hold the same.
   *
   * @throws UsageError where they cannot be used
   */
  readonly read: (before: T | undefined) => Promise<T>
  /** What the log says of a new one. */
  readonly describe: (found: T) => Readonly<Record<string, string | number>>
  readonly clock: Clock
  readonly log: Logger
}

/** What files hold, while they may change. */
export interface Watched<T> {
  /** Undefined until it was started. */
  current(): T | undefined
  onChange(listener: (found: T) => void): void
  /** Resolves with the first. @throws UsageError where the files cannot be used */
  start(): Promise<T>
  stop(): void
}

/**
 * Reads files again and again. What cannot be used, such as a pair of which only one half is written yet,
 * leaves the old in its place.
 */
export function watch<T extends object>(options: WatchOptions<T>): Watched<T> {
  const { what, read, describe, clock, log } = options
  const listeners: ((found: T) => void)[] = []
  let current: T | undefined
  let cancel: Cancel = () => undefined
  let warnedOf = ''
  let stopped = false

  const look = async (): Promise<void> => {
    try {
      const found = await read(current)
      warnedOf = ''
      if (found === current) return
      current = found
      for (const listener of listeners) listener(found)
      log.info(describe(found), `${what} swapped`)
    } catch (error) {
      const reason = messageOf(error)
      if (reason !== warnedOf) log.warn({ reason }, `the old ${what} is kept`)
      warnedOf = reason
    }
  }
  const lookAgain = (): void => {
    if (stopped) return
    cancel = clock.after(LOOK_MS, () => void look().then(lookAgain))
  }

  return {
    current: () => current,
    onChange(listener) {
      listeners.push(listener)
    },
    async start() {
      current = await read(undefined)
      lookAgain()
      return current
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}
