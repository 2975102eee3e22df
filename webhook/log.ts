import { pino, type Logger as Pino } from 'pino'
import type { Logger, LogLevel } from '../platform/log.ts'

export interface FlushingLogger extends Logger {
  /** Writes out what is buffered; call it before the process ends. */
  flush(): void
}

/**
 * The webhook's log: JSON lines on stdout, written in batches so that a decision never waits for
 * the reader of the log. The rules of platform/log.ts hold; redaction is the second line of defence.
 */
export function createLog(level: LogLevel): FlushingLogger {
  const destination = pino.destination({
    dest: 1,
    sync: false,
    minLength: 4096,
    periodicFlush: 500,
  })
  const log: Pino = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['token', 'authorization', 'key', '*.token', '*.key'],
        censor: '[redacted]',
      },
    },
    destination,
  )
  return Object.assign(Object.create(log) as Pino, {
    flush() {
      destination.flushSync()
    },
  })
}
