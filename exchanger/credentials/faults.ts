import { codeOf, messageOf } from '../../shared/base/errors.ts'
import type { FailureClass } from '../failure.ts'
import { shown } from '../redact.ts'

/** What came back instead of credentials. */
export interface Fault {
  /**
   * STS's code (`AccessDenied`), Node's (`ECONNREFUSED`), one of tunnel.ts, `Timeout`, `MalformedResponse`,
   * `SigningAsked`, or `InternalError` for what none of these is.
   */
  readonly code: string
  readonly failureClass: FailureClass
  /** Safe to show. */
  readonly text: string
  /** Whether STS itself said so. */
  readonly bySts: boolean
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

/**
 * `InvalidIdentityToken` covers lasting causes, of which these are known, and passing ones: now and then STS "couldn't
 * retrieve verification key from your identity provider", and grants the same request a second later. What is not
 * known may pass. Source: AWS's PHP SDK, AssumeRoleWithWebIdentityCredentialProvider, which asks again.
 */
const LASTING_INVALID_TOKEN =
  /no openidconnect provider|incorrect token audience|not a valid jwt|missing (?:a )?required claim/i

/** Sorts a code of STS with its HTTP status and its words. */
export function classOf(code: string, httpStatus: number, text = ''): FailureClass {
  if (code === 'ExpiredTokenException' || code === 'ExpiredToken') return 'token'
  if (code === 'InvalidIdentityToken') {
    return LASTING_INVALID_TOKEN.test(text) ? 'refused' : 'transient'
  }
  const isTransient =
    TRANSIENT_CODES.has(code) || TRANSIENT_STATUSES.includes(httpStatus) || httpStatus >= 500
  return isTransient ? 'transient' : 'refused'
}

/** Without an answer of STS: a person must change something, and no second try helps. */
const REFUSED_CODES: ReadonlySet<string> = new Set([
  'ProxyAuthenticationRequired',
  'ProxyRefused',
  'SigningAsked',
])

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
    // Faults of the network bear a code of Node; what has none is a fault of this program or its libraries.
    const code = codeOf(thrown) ?? (name === 'TimeoutError' ? 'Timeout' : 'InternalError')
    const failureClass = REFUSED_CODES.has(code) ? 'refused' : 'transient'
    return { code, failureClass, text: shown(messageOf(thrown)), bySts: false }
  }
  if (typeof Code === 'string' && Code !== '') {
    const text = messageOf(thrown)
    const failureClass = classOf(Code, httpStatus, text)
    return { code: Code, failureClass, text: shown(text), bySts: true }
  }
  const text = `the answer, with HTTP status ${httpStatus}, is none of STS`
  return { code: 'MalformedResponse', failureClass: 'transient', text, bySts: false }
}
