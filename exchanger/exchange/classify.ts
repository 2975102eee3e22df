import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import type { FailureKind } from '../failure.ts'
import type { WebIdentityToken } from './token.ts'

/** What came back instead of credentials, as far as it says something. */
export interface StsFault {
  /** STS's code, such as `AccessDenied`, or a name of the SDK or of Node. */
  readonly code: string
  /** Undefined where no answer came. */
  readonly httpStatus: number | undefined
}

/**
 * Codes after which the very same request may succeed.
 * Source: STS API reference, AssumeRoleWithWebIdentity and Common Errors.
 */
const TRANSIENT_CODES: readonly string[] = [
  'IDPCommunicationError',
  'IDPCommunicationErrorException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'InternalFailure',
]

/** Sorts a fault of STS; whatever STS did not say in so many words is worth another try. */
export function kindOf({ code, httpStatus }: StsFault): FailureKind {
  if (code.startsWith('ExpiredToken')) return 'token'
  if (TRANSIENT_CODES.includes(code)) return 'transient'
  if (httpStatus === undefined || httpStatus >= 500 || httpStatus === 429) return 'transient'
  return httpStatus >= 400 ? 'refused' : 'transient'
}

type HintFor = (config: ExchangerConfig, claims: WebIdentityToken['claims']) => string

function trustPolicyHint({ roleArn }: ExchangerConfig, claims: WebIdentityToken['claims']): string {
  const provider = claims.issuer.replace(/^https:\/\//, '')
  return (
    `Look at the trust policy of ${roleArn}: it must allow sts:AssumeRoleWithWebIdentity to the ` +
    `OIDC provider ${provider}, with ${provider}:sub = ${claims.subject} and ` +
    `${provider}:aud = ${claims.audiences.join(' or ')}. The role must exist in that account.`
  )
}

function providerHint({ roleArn }: ExchangerConfig, claims: WebIdentityToken['claims']): string {
  const account = roleArn.split(':')[4] ?? ''
  return (
    `Account ${account} must have an IAM OIDC provider for ${claims.issuer} with the audience ` +
    `${claims.audiences.join(' or ')}, and ${claims.issuer}/.well-known/openid-configuration must ` +
    `lead to the keys that this cluster signs with.`
  )
}

const HINTS: Readonly<Record<string, HintFor>> = {
  AccessDenied: trustPolicyHint,
  AccessDeniedException: trustPolicyHint,
  InvalidIdentityToken: providerHint,
  InvalidIdentityTokenException: providerHint,
  IDPRejectedClaim: providerHint,
  IDPRejectedClaimException: providerHint,
  IDPCommunicationError: (_config, { issuer }) =>
    `AWS could not reach ${issuer}/.well-known/openid-configuration; it must be public.`,
  RegionDisabledException: (config) =>
    `STS is not active in ${config.region ?? 'that region'}: activate it in the account settings of IAM, or choose another nocreds.dev/region.`,
  ValidationError: (config) =>
    `Is ${config.sessionDurationSeconds} s (nocreds.dev/session-duration) above the maximum session duration of the role?`,
}

/** What to look at, in plain words for whoever runs the app; undefined where nothing is known. */
export function hintFor(
  code: string,
  config: ExchangerConfig,
  claims: WebIdentityToken['claims'],
): string | undefined {
  return Object.hasOwn(HINTS, code) ? HINTS[code]?.(config, claims) : undefined
}
