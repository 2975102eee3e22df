/** Optional details of a {@link NocredsError}. */
export interface ErrorDetails {
  /** The error that caused this one; kept for the log, never shown to a client. */
  readonly cause?: unknown
  /** One plain sentence that says what to check or change. */
  readonly hint?: string
}

/**
 * The error of nocreds. Its `code` stays the same from release to release; callers and tests tell errors
 * apart by it, never by the message. A subclass exists only if callers test for it or it carries more fields.
 *
 * Codes have three forms: `ERR_SCREAMING` for errors of our own programs, `kebab-case` for refusals of the
 * authority, and the form of the other side for what it says (`AccessDenied` of AWS, `ECONNREFUSED` of Node);
 * the sidecar's own codes beside those of AWS are in CamelCase, too.
 */
export class NocredsError<Code extends string = string> extends Error {
  readonly code: Code
  readonly hint: string | undefined

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.code = code
    this.hint = details.hint
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The `code` of a system error of Node (`ENOENT`, `ECONNREFUSED`, …) or of a NocredsError. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}

/** Invalid flags, environment or command: the program exits with code 2 and this message. */
export class UsageError extends NocredsError<'ERR_USAGE'> {
  constructor(message: string, details?: ErrorDetails) {
    super('ERR_USAGE', message, details)
  }
}
