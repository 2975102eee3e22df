import { codeOf, messageOf } from '../../platform/errors.ts'
import type { FailureClass } from '../failure.ts'
import { shown } from '../shown.ts'

/** What came back instead of credentials. */
export interface Fault {
  /** STS's code (`AccessDenied`), Node's (`ECONNREFUSED`), `Timeout` or `MalformedResponse`. */
  readonly code: string
  readonly failureClass: FailureClass
  /** Safe to show. */
  readonly text: string
}

/**
 * Codes after which the very same request may succeed, whatever the status.
 * Source: STS API reference, AssumeRoleWithWebIdentity and "Common error types".
 */
const TRANSIENT_CODES: ReadonlySet<string> = new Set([
  'IDPCommunicationError',
  'InternalFailure',
  'RequestLimitExceeded',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
])
const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429]

/** Sorts a code of STS with its HTTP status. */
export function classOf(code: string, httpStatus: number): FailureClass {
  if (code === 'ExpiredTokenException' || code === 'ExpiredToken') return 'token'
  const isTransient =
    TRANSIENT_CODES.has(code) || TRANSIENT_STATUSES.includes(httpStatus) || httpStatus >= 500
  return isTransient ? 'transient' : 'refused'
}

/**
 * Reads what the SDK threw. An answer that is no answer of STS (a proxy's page, half an XML) is
 * `transient` whatever its status, and none of it is shown: half an answer may hold half a secret.
 */
export function faultOf(thrown: unknown): Fault {
  const { Code, $metadata, name } = thrown as {
    readonly Code?: unknown
    readonly $metadata?: { readonly httpStatusCode?: number }
    readonly name?: string
  }
  const httpStatus = $metadata?.httpStatusCode
  if (httpStatus === undefined) {
    const code = codeOf(thrown) ?? (name === 'TimeoutError' ? 'Timeout' : 'NetworkError')
    return { code, failureClass: 'transient', text: shown(messageOf(thrown)) }
  }
  if (typeof Code === 'string' && Code !== '') {
    return { code: Code, failureClass: classOf(Code, httpStatus), text: shown(messageOf(thrown)) }
  }
  const text = `the answer, with HTTP status ${httpStatus}, is none of STS`
  return { code: 'MalformedResponse', failureClass: 'transient', text }
}
