import type { Clock } from '../../base/clock.ts'
import type { LogFields, Logger, LogLevel } from '../../base/log.ts'

/** Limit for lines that unauthenticated clients can cause. */
const LINES = { perSecond: 10, burst: 50 } as const

/**
 * A rate-limited log for events that any client can cause: some lines a second are written, and the next one has the
 * number of omitted lines as `suppressed`.
 */
export function quietLog(log: Logger, clock: Clock): Logger {
  let allowance: number = LINES.burst
  let filledMs = clock.monotonic()
  let suppressed = 0
  const at =
    (level: LogLevel) =>
    (fields: LogFields, msg: string): void => {
      const nowMs = clock.monotonic()
      const earned = ((nowMs - filledMs) * LINES.perSecond) / 1000
      allowance = Math.min(LINES.burst, allowance + earned)
      filledMs = nowMs
      if (allowance < 1) {
        suppressed += 1
        return
      }
      allowance -= 1
      log[level](suppressed === 0 ? fields : { ...fields, suppressed }, msg)
      suppressed = 0
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
