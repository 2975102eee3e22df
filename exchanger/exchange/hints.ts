import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import { PREFIX } from '../../contract/names.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import type { Claims } from './token.ts'

/**
 * What to look at, in plain words for whoever runs the app, by STS's code; undefined where nothing
 * is known that the message does not say already.
 */
export function hintFor(code: string, config: ExchangerConfig, claims: Claims): string | undefined {
  return Object.hasOwn(HINTS, code) ? HINTS[code]?.(config, claims) : undefined
}

type Hint = (config: ExchangerConfig, claims: Claims) => string

const HINTS: Readonly<Record<string, Hint>> = {
  AccessDenied: trustPolicy,
  IDPCommunicationError: (_config, { issuer }) =>
    `AWS cannot reach ${issuer}/.well-known/openid-configuration; it must be open to the internet.`,
  IDPRejectedClaim: oidcProvider,
  InvalidIdentityToken: oidcProvider,
  MalformedPolicyDocument: trustPolicy,
  RegionDisabledException: ({ region }) =>
    `Activate STS for ${region ?? 'this region'} in the account settings of IAM, or name another region in ${PREFIX}region.`,
  ValidationError: ({ sessionDurationSeconds, roleArn }) =>
    `${PREFIX}session-duration is ${sessionDurationSeconds} s: the maximum session duration of ${roleArn} must be at least that.`,
}

/** Source: IAM, "Create a role for OpenID Connect federation". */
function trustPolicy({ roleArn }: ExchangerConfig, claims: Claims): string {
  const provider = providerOf(claims)
  return (
    `Does the role exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity to ` +
    `${providerArn(roleArn, provider)} with ${provider}:sub = ${claims.subject} and ` +
    `${provider}:aud = ${claims.audiences.join(' or ')}?`
  )
}

/** Source: IAM, "Create an OpenID Connect (OIDC) identity provider in IAM". */
function oidcProvider({ roleArn }: ExchangerConfig, claims: Claims): string {
  return (
    `The account needs the IAM OIDC provider ${providerArn(roleArn, providerOf(claims))} with the ` +
    `audience ${claims.audiences.join(' or ')}, and ${claims.issuer}/.well-known/openid-configuration ` +
    `must lead to the keys that the cluster signs with now.`
  )
}

/** The issuer without its scheme, as IAM names providers and condition keys. */
function providerOf({ issuer }: Claims): string {
  return issuer.replace(/^https:\/\//, '')
}

function providerArn(roleArn: string, provider: string): string {
  const { partition = '', accountId = '' } = parseRoleArn(roleArn) ?? {}
  return `arn:${partition}:iam::${accountId}:oidc-provider/${provider}`
}
