/**
 * One event is one line of JSON. The rules:
 * - `msg` is a fixed sentence that names a state or an event; values are in separate fields;
 * - `reason` and `code` are stable codes, `error` is the text of an error, `hint` says what to check;
 * - never a token, a secret key, a session token, an authorization, nor a document that contains one;
 * - an error is logged by its code, message and hint, not by dumping the object.
 */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Logger {
  debug(fields: LogFields, msg: string): void
  info(fields: LogFields, msg: string): void
  warn(fields: LogFields, msg: string): void
  error(fields: LogFields, msg: string): void
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LogOptions {
  readonly level?: LogLevel
  /** Fields of every line. */
  readonly base?: LogFields
}

/** Writes lines to `write`; small enough for the process that runs in every pod. */
export function jsonLogger(
  write: (line: string) => void,
  now: () => number,
  { level = 'info', base = {} }: LogOptions = {},
): Logger {
  const threshold = LOG_LEVELS.indexOf(level)
  const at =
    (of: LogLevel) =>
    (fields: LogFields, msg: string): void => {
      if (LOG_LEVELS.indexOf(of) < threshold) return
      const time = new Date(now()).toISOString()
      write(`${JSON.stringify({ time, level: of, msg, ...base, ...fields })}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
