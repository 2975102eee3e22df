import { sleep, type Clock } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'

export interface ReconcilerDeps {
  /**
   * Compares everything and writes what differs. Returns the number of failed writes; undefined if the current
   * objects are not known yet; may throw.
   */
  readonly reconcile: () => Promise<number | undefined>
  readonly clock: Clock
  readonly log: Logger
}

export interface Reconciler {
  start(): void
  /** Reconciles soon, as after each observed change. */
  wake(): void
  stop(): void
}

/** Everything is compared again at this interval, in case a change was missed. */
const RESYNC_MS = 60_000
/** Changes within this time are handled together. */
const BATCH_MS = 100
/** Interval while the current objects are not known; nothing announces an empty list. */
const UNKNOWN_MS = 250
/** Interval after a failure; doubled up to RESYNC_MS while failures continue. */
const RETRY_MS = 5000

/** Reconciles, never twice at the same time: after changes, after failures, and once a minute. */
export function createReconciler({ reconcile, clock, log }: ReconcilerDeps): Reconciler {
  let stopped = false
  let changed = Promise.withResolvers<undefined>()
  const wake = (): void => {
    changed.resolve(undefined)
  }
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(ms, resolve)
      void changed.promise.then(() => {
        cancel()
        resolve()
      })
    })
  const run = async (): Promise<void> => {
    let retryMs = RETRY_MS
    while (!stopped) {
      const failures = await reconcile().catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'trust bundle sync failed')
        return 1
      })
      const hasFailed = failures !== undefined && failures > 0
      await pause(failures === undefined ? UNKNOWN_MS : hasFailed ? retryMs : RESYNC_MS)
      retryMs = hasFailed ? Math.min(retryMs * 2, RESYNC_MS) : RETRY_MS
      await sleep(clock, BATCH_MS)
      changed = Promise.withResolvers<undefined>()
    }
  }
  return {
    start() {
      void run()
    },
    wake,
    stop() {
      stopped = true
      wake()
    },
  }
}
