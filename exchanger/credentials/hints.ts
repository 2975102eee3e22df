import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { PREFIX } from '../../contract/names.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import type { Claims } from './token.ts'

/**
 * Says what to check, in plain words for anyone who runs the app, by STS's code; undefined if the message
 * already says everything that is known.
 */
export function hintFor(
  code: string,
  config: CredentialsConfig,
  claims: Claims,
): string | undefined {
  if (Object.hasOwn(HINTS, code)) return HINTS[code]?.(config, claims)
  return UNKNOWN_CA.test(code) ? unknownCa(config) : undefined
}

/** Codes of TLS for a chain without a trusted CA. Source: OpenSSL, X509_STORE_CTX_get_error. */
const UNKNOWN_CA = /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|CERT_UNTRUSTED/

type Hint = (config: CredentialsConfig, claims: Claims) => string

/** By the code of the failure; docs/reference/events.md is generated from it. */
export const HINTS: Readonly<Record<string, Hint>> = {
  AccessDenied: trustPolicy,
  IDPCommunicationError: (_config, { issuer }) =>
    `AWS cannot reach ${issuer}/.well-known/openid-configuration; it must be reachable from the internet.`,
  IDPRejectedClaim: oidcProvider,
  InvalidIdentityToken: oidcProvider,
  MalformedPolicyDocument: trustPolicy,
  ProxyAuthenticationRequired: (config) =>
    `${proxyOf(config)} must accept pods without a password: anyone who may read a pod could read the password.`,
  ProxyFailed: (config) => `${proxyOf(config)} must reach ${stsOf(config)}.`,
  ProxyRefused: (config) => `${proxyOf(config)} must permit CONNECT to ${stsOf(config)}.`,
  ProxyTimeout: unreachableProxy,
  ProxyUnreachable: unreachableProxy,
  RegionDisabledException: ({ region }) =>
    `Activate STS for ${region ?? 'this region'} in the account settings of IAM, or set ${PREFIX}region to another region.`,
  SigningAsked: ({ region = 'the default' }) =>
    `The region is ${region}, for which STS requires a signed request: set ${PREFIX}region to a real region.`,
  ValidationError: ({ sessionDurationSeconds, roleArn }) =>
    `${PREFIX}session-duration is ${sessionDurationSeconds} s: the maximum session duration of ${roleArn} must be at least as long.`,
}

const SETTINGS = 'ConfigMap nocreds-settings'

function proxyOf({ stsProxy = '' }: CredentialsConfig): string {
  return `The proxy ${stsProxy} (stsProxy of ${SETTINGS})`
}

function stsOf({ stsEndpoint, region }: CredentialsConfig): string {
  return stsEndpoint ?? `STS of region ${region ?? 'us-east-1'}`
}

function unreachableProxy(config: CredentialsConfig): string {
  return (
    `${proxyOf(config)} must be reachable from the pod: check its address, NetworkPolicies and, if it is https, ` +
    `its CA (stsCa); list hosts that need no proxy in stsNoProxy.`
  )
}

function unknownCa({ stsCa }: CredentialsConfig): string {
  return stsCa === undefined
    ? `The certificate does not chain to a public CA: add its CA to stsCa of ${SETTINGS}.`
    : `The certificate does not chain to a CA in stsCa of ${SETTINGS}, and only those are trusted: add its CA.`
}

/** Source: IAM, "Create a role for OpenID Connect federation". */
function trustPolicy({ roleArn }: CredentialsConfig, claims: Claims): string {
  const provider = providerOf(claims)
  return (
    `Does the role exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity to ` +
    `${providerArn(roleArn, provider)} with ${provider}:sub = ${claims.subject} and ` +
    `${provider}:aud = ${claims.audiences.join(' or ')}?`
  )
}

/** Source: IAM, "Create an OpenID Connect (OIDC) identity provider in IAM". */
function oidcProvider({ roleArn }: CredentialsConfig, claims: Claims): string {
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
