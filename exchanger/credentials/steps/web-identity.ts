import type { ExchangeConfig } from '../../../contract/exchanger-env.ts'
import { PREFIX } from '../../../contract/names.ts'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import { nameOf, type FailureClass } from '../../failure.ts'
import { classOf as classOfAny } from '../faults.ts'
import type { Claims } from '../token.ts'
import { malformedSessionPolicy, policiesTooLarge } from './session-policy-hints.ts'
import { sessionNameOf, sessionPoliciesOf, type Step } from './step.ts'

/** Credentials that only sign the next request live as short as STS allows. Source: STS API reference, DurationSeconds. */
const INTERMEDIATE_SECONDS = 900

/**
 * AssumeRoleWithWebIdentity: the token for a session of the first role. Unsigned.
 * Source: STS API reference, AssumeRoleWithWebIdentity.
 */
export function webIdentityStep(config: ExchangeConfig): Step {
  const { roleArn, namespace, serviceAccount } = config
  const isLast = config.targetRoleArn === undefined
  const durationSeconds = isLast ? config.sessionDurationSeconds : INTERMEDIATE_SECONDS
  return {
    name: nameOf({ roleArn, namespace, serviceAccount }),
    roleArn,
    durationSeconds,
    request: ({ token }) => ({
      action: 'AssumeRoleWithWebIdentity',
      input: {
        RoleArn: roleArn,
        RoleSessionName: sessionNameOf(config),
        WebIdentityToken: token.jwt,
        DurationSeconds: durationSeconds,
        ...(isLast ? sessionPoliciesOf(config) : {}),
      },
    }),
    classOf,
    hintFor: (code, claims) =>
      Object.hasOwn(HINTS, code) ? HINTS[code]?.(config, claims) : undefined,
  }
}

/**
 * `InvalidIdentityToken` has permanent causes, of which these are known, and temporary ones: sometimes STS "couldn't
 * retrieve verification key from your identity provider", and accepts the same request a second later. Unknown causes
 * are treated as temporary. Source: AWS's PHP SDK, AssumeRoleWithWebIdentityCredentialProvider, which retries.
 */
const PERMANENT_INVALID_TOKEN =
  /no openidconnect provider|incorrect token audience|not a valid jwt|missing (?:a )?required claim/i

function classOf(code: string, httpStatus: number, text: string): FailureClass {
  if (code === 'ExpiredTokenException' || code === 'ExpiredToken') return 'token'
  if (code === 'InvalidIdentityToken') {
    return PERMANENT_INVALID_TOKEN.test(text) ? 'refused' : 'transient'
  }
  return classOfAny(code, httpStatus)
}

type Hint = (config: ExchangeConfig, claims: Claims) => string | undefined

/** By the code of the failure; docs/reference/events.md is generated from it. */
export const HINTS: Readonly<Record<string, Hint>> = {
  AccessDenied: trustPolicy,
  IDPCommunicationError: (_config, { issuer }) =>
    `AWS cannot reach ${issuer}/.well-known/openid-configuration; it must be reachable from the internet.`,
  IDPRejectedClaim: oidcProvider,
  InvalidIdentityToken: oidcProvider,
  MalformedPolicyDocument: (config, claims) =>
    config.targetRoleArn === undefined && config.sessionPolicy !== undefined
      ? malformedSessionPolicy()
      : trustPolicy(config, claims),
  PackedPolicyTooLarge: ({ targetRoleArn }) =>
    targetRoleArn === undefined ? policiesTooLarge({ hasTags: false }) : undefined,
  SigningAsked: ({ region = 'the default' }) =>
    `The region is ${region}, for which STS requires a signed request: set ${PREFIX}region to a real region.`,
  ValidationError: ({ sessionDurationSeconds, roleArn, targetRoleArn }) =>
    targetRoleArn === undefined
      ? `${PREFIX}session-duration is ${sessionDurationSeconds} s: the maximum session duration of ${roleArn} must be at least as long.`
      : undefined,
}

/** Source: IAM, "Create a role for OpenID Connect federation". */
function trustPolicy({ roleArn }: ExchangeConfig, claims: Claims): string {
  const provider = providerOf(claims)
  return (
    `Does the role exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity to ` +
    `${providerArn(roleArn, provider)} with ${provider}:sub = ${claims.subject} and ` +
    `${provider}:aud = ${claims.audiences.join(' or ')}?`
  )
}

/** Source: IAM, "Create an OpenID Connect (OIDC) identity provider in IAM". */
function oidcProvider({ roleArn }: ExchangeConfig, claims: Claims): string {
  return (
    `The account needs the IAM OIDC provider ${providerArn(roleArn, providerOf(claims))} with the ` +
    `audience ${claims.audiences.join(' or ')}, and ${claims.issuer}/.well-known/openid-configuration ` +
    `must refer to the keys that the cluster currently signs with.`
  )
}

/** The issuer without its scheme, as in IAM's names of providers and condition keys. */
function providerOf({ issuer }: Claims): string {
  return issuer.replace(/^https:\/\//, '')
}

function providerArn(roleArn: string, provider: string): string {
  const { partition = '', accountId = '' } = parseRoleArn(roleArn) ?? {}
  return `arn:${partition}:iam::${accountId}:oidc-provider/${provider}`
}
