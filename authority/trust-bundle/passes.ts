import { sleep, type Clock } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'

export interface PassesDeps {
  /**
   * Compares everything and writes what differs. Gives how many writes failed; undefined while it is not
   * known yet what there is; may throw.
   */
  readonly pass: () => Promise<number | undefined>
  readonly clock: Clock
  readonly log: Logger
}

export interface Passes {
  start(): void
  /** A pass soon, as after each change that is seen. */
  wake(): void
  stop(): void
}

/** Everything is compared again after this long, whatever was missed. */
const RESYNC_MS = 60_000
/** Changes that come together are one pass. */
const GATHER_MS = 100
/** While it is not known what there is; nothing tells when an empty list has come. */
const UNKNOWN_MS = 250
/** After a failure; doubled up to RESYNC_MS while it goes on. */
const RETRY_MS = 5000

/** Passes one after the other: after changes, after failures, and once a minute. */
export function createPasses({ pass, clock, log }: PassesDeps): Passes {
  let stopped = false
  let nudge = Promise.withResolvers<undefined>()
  const wake = (): void => {
    nudge.resolve(undefined)
  }
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(ms, resolve)
      void nudge.promise.then(() => {
        cancel()
        resolve()
      })
    })
  const run = async (): Promise<void> => {
    let retryMs = RETRY_MS
    while (!stopped) {
      const failures = await pass().catch((error: unknown) => {
        log.warn({ reason: messageOf(error) }, 'trust bundles cannot be brought in sync')
        return 1
      })
      const hasFailed = failures !== undefined && failures > 0
      await rest(failures === undefined ? UNKNOWN_MS : hasFailed ? retryMs : RESYNC_MS)
      retryMs = hasFailed ? Math.min(retryMs * 2, RESYNC_MS) : RETRY_MS
      await sleep(clock, GATHER_MS)
      nudge = Promise.withResolvers<undefined>()
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
