import { pino, type Logger as Pino } from 'pino'
import type { Logger, LogLevel } from '../base/log.ts'

export interface FlushingLogger extends Logger {
  /** Writes buffered lines; call it before the process exits. */
  flush(): void
}

/** Buffered lines are written at this size, or after this delay. */
const BATCH = { characters: 16_384, delayMs: 500 } as const

/**
 * The log of a server: JSON lines on stdout, written in batches so that a decision never waits for the
 * reader of the log. The rules of shared/base/log.ts apply; redaction is a second line of defence.
 */
export function createLog(level: LogLevel): FlushingLogger {
  const lines = batched()
  const log: Pino = pino(
    {
      level,
      base: null,
      timestamp: timestamps(),
      formatters: { level: (label) => ({ level: label }) },
      // Fields are flat by type, and a nested path would cost as much as the line itself.
      redact: { paths: ['token', 'authorization', 'key'], censor: '[redacted]' },
    },
    lines,
  )
  return Object.assign(Object.create(log) as Pino, { flush: lines.flush })
}

/** Formats the time once per millisecond, because formatting costs as much as the rest of a line. */
function timestamps(): () => string {
  let lastMs = 0
  let text = ''
  return () => {
    const now = new Date()
    if (now.getTime() !== lastMs) text = `,"time":"${now.toISOString()}"`
    lastMs = now.getTime()
    return text
  }
}

/** Pino's own buffer is searched again for each line; here a line is only appended. */
function batched(): { write(line: string): void; readonly flush: () => void } {
  const stdout = pino.destination({ dest: 1, sync: false })
  let held = ''
  let timer: NodeJS.Timeout | undefined
  const handOn = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (held !== '') stdout.write(held)
    held = ''
  }
  return {
    write(line) {
      held += line
      if (held.length >= BATCH.characters) handOn()
      else timer ??= setTimeout(handOn, BATCH.delayMs)
    },
    flush() {
      handOn()
      stdout.flushSync()
    },
  }
}
