import type { Clock } from '../../base/clock.ts'
import type { LogFields, Logger, LogLevel } from '../../base/log.ts'

/** Lines that strangers can cause. */
const LINES = { perSecond: 10, burst: 50 } as const

/**
 * A log for what anybody may cause as often as they like: some lines a second are written, and the next
 * one says how many were not, as `unsaid`.
 */
export function quietLog(log: Logger, clock: Clock): Logger {
  let allowance: number = LINES.burst
  let filledMs = clock.monotonic()
  let unsaid = 0
  const at =
    (level: LogLevel) =>
    (fields: LogFields, msg: string): void => {
      const nowMs = clock.monotonic()
      const earned = ((nowMs - filledMs) * LINES.perSecond) / 1000
      allowance = Math.min(LINES.burst, allowance + earned)
      filledMs = nowMs
      if (allowance < 1) {
        unsaid += 1
        return
      }
      allowance -= 1
      log[level](unsaid === 0 ? fields : { ...fields, unsaid }, msg)
      unsaid = 0
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
