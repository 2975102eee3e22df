import { codeOf, messageOf } from '../../shared/base/errors.ts'
import type { FailureClass } from '../failure.ts'
import { redact } from '../redact.ts'
import type { Step } from './steps/step.ts'

/** The failure of a request to STS. */
export interface Fault {
  /**
   * STS's code (`AccessDenied`), Node's (`ECONNREFUSED`), one of tunnel.ts, `Timeout`, `MalformedResponse`,
   * `SigningAsked`, or `InternalError` for anything else.
   */
  readonly code: string
  readonly failureClass: FailureClass
  /** Safe to show. */
  readonly text: string
  /** True if STS itself reported it. */
  readonly bySts: boolean
}

/**
 * Codes after which the same request may succeed, whatever the status.
 * Source: STS API reference, errors of the actions and "Common error types".
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

/** Classifies an error of STS by its code and HTTP status, as far as that is the same in every step. */
export function classOf(code: string, httpStatus: number): FailureClass {
  const isTransient =
    TRANSIENT_CODES.has(code) || TRANSIENT_STATUSES.includes(httpStatus) || httpStatus >= 500
  return isTransient ? 'transient' : 'refused'
}

/** Codes without a response of STS that a retry cannot fix: a person must change something. */
const REFUSED_CODES: ReadonlySet<string> = new Set([
  'ProxyAuthenticationRequired',
  'ProxyRefused',
  'SigningAsked',
])

/**
 * Classifies an error of the SDK. A response that is not one of STS (a proxy's page, truncated XML) is
 * `transient`, whatever its status, and its content is not shown: it may contain part of a secret.
 *
 * @param step judges what STS itself reported
 * @param secrets what was sent, which no text shows
 */
export function faultOf(
  thrown: unknown,
  step: Pick<Step, 'classOf'>,
  secrets: readonly string[],
): Fault {
  const { Code, $metadata, name } = thrown as {
    readonly Code?: unknown
    readonly $metadata?: { readonly httpStatusCode?: number }
    readonly name?: string
  }
  const httpStatus = $metadata?.httpStatusCode
  if (httpStatus === undefined) {
    // Network errors have a code of Node; an error without one is a fault of this program or its libraries.
    const code = codeOf(thrown) ?? (name === 'TimeoutError' ? 'Timeout' : 'InternalError')
    const failureClass = REFUSED_CODES.has(code) ? 'refused' : 'transient'
    return { code, failureClass, text: redact(messageOf(thrown), secrets), bySts: false }
  }
  if (typeof Code === 'string' && Code !== '') {
    const text = messageOf(thrown)
    const failureClass = step.classOf(Code, httpStatus, text)
    return { code: Code, failureClass, text: redact(text, secrets), bySts: true }
  }
  const text = `the response, with HTTP status ${httpStatus}, is not an STS response`
  return { code: 'MalformedResponse', failureClass: 'transient', text, bySts: false }
}
