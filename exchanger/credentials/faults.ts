import { codeOf, messageOf } from '../../shared/base/errors.ts'
import type { FailureClass } from '../failure.ts'
import { redact } from '../redact.ts'

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

/**
 * `InvalidIdentityToken` has permanent causes, of which these are known, and temporary ones: sometimes STS "couldn't
 * retrieve verification key from your identity provider", and accepts the same request a second later. Unknown causes
 * are treated as temporary. Source: AWS's PHP SDK, AssumeRoleWithWebIdentityCredentialProvider, which retries.
 */
const PERMANENT_INVALID_TOKEN =
  /no openidconnect provider|incorrect token audience|not a valid jwt|missing (?:a )?required claim/i

/** Classifies an error of STS by its code, HTTP status and message. */
export function classOf(code: string, httpStatus: number, text = ''): FailureClass {
  if (code === 'ExpiredTokenException' || code === 'ExpiredToken') return 'token'
  if (code === 'InvalidIdentityToken') {
    return PERMANENT_INVALID_TOKEN.test(text) ? 'refused' : 'transient'
  }
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
 */
export function faultOf(thrown: unknown): Fault {
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
    return { code, failureClass, text: redact(messageOf(thrown)), bySts: false }
  }
  if (typeof Code === 'string' && Code !== '') {
    const text = messageOf(thrown)
    const failureClass = classOf(Code, httpStatus, text)
    return { code: Code, failureClass, text: redact(text), bySts: true }
  }
  const text = `the response, with HTTP status ${httpStatus}, is not an STS response`
  return { code: 'MalformedResponse', failureClass: 'transient', text, bySts: false }
}
