import { NocredsError, type ErrorDetails } from '../platform/errors.ts'

/**
 * How a failed exchange is to be treated:
 * - `token`: STS will refuse until the kubelet has written a new token
 * - `transient`: the same request may succeed in a moment
 * - `refused`: someone must change something, in IAM or in an annotation
 */
export const FAILURE_KINDS = ['token', 'transient', 'refused'] as const
export type FailureKind = (typeof FAILURE_KINDS)[number]

/**
 * An exchange that gave no credentials. `code` is STS's own where STS answered (`AccessDenied`), else
 * one of ours (`TokenMissing`, `NetworkError`, …).
 */
export class ExchangeError extends NocredsError {
  readonly kind: FailureKind

  constructor(kind: FailureKind, code: string, message: string, details?: ErrorDetails) {
    super(code, message, details)
    this.kind = kind
  }
}

/** As the exchange hands a failure to the resident process: one line of JSON on stderr. */
export function formatFailure(error: ExchangeError): string {
  const { kind, code, message, hint } = error
  return JSON.stringify({ kind, code, message, hint })
}

/** Reads the last line that {@link formatFailure} wrote; undefined where there is none. */
export function parseFailure(text: string): ExchangeError | undefined {
  const line = text.trimEnd().split('\n').at(-1) ?? ''
  try {
    const { kind, code, message, hint } = JSON.parse(line) as Record<string, unknown>
    const known = FAILURE_KINDS.find((one) => one === kind)
    if (known === undefined || typeof code !== 'string' || typeof message !== 'string')
      return undefined
    return new ExchangeError(known, code, message, typeof hint === 'string' ? { hint } : {})
  } catch {
    return undefined
  }
}
