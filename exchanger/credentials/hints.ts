import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { PREFIX } from '../../contract/names.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import type { Claims } from './token.ts'

/**
 * What to look at, in plain words for whoever runs the app, by STS's code; undefined where nothing
 * is known that the message does not say already.
 */
export function hintFor(
  code: string,
  config: CredentialsConfig,
  claims: Claims,
): string | undefined {
  if (Object.hasOwn(HINTS, code)) return HINTS[code]?.(config, claims)
  return UNKNOWN_CA.test(code) ? unknownCa(config) : undefined
}

/** Of TLS, where the chain leads to no CA that is trusted. Source: OpenSSL, X509_STORE_CTX_get_error. */
const UNKNOWN_CA = /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|CERT_UNTRUSTED/

type Hint = (config: CredentialsConfig, claims: Claims) => string

/** By the code of the failure; the reference of failures is made of it. */
export const HINTS: Readonly<Record<string, Hint>> = {
  AccessDenied: trustPolicy,
  IDPCommunicationError: (_config, { issuer }) =>
    `AWS cannot reach ${issuer}/.well-known/openid-configuration; it must be open to the internet.`,
  IDPRejectedClaim: oidcProvider,
  InvalidIdentityToken: oidcProvider,
  MalformedPolicyDocument: trustPolicy,
  ProxyAuthenticationRequired: (config) =>
    `${proxyOf(config)} must let pods through without a password: who may read a pod would read it.`,
  ProxyFailed: (config) => `${proxyOf(config)} must reach ${stsOf(config)}.`,
  ProxyRefused: (config) => `${proxyOf(config)} must permit CONNECT to ${stsOf(config)}.`,
  ProxyTimeout: unreachableProxy,
  ProxyUnreachable: unreachableProxy,
  RegionDisabledException: ({ region }) =>
    `Activate STS for ${region ?? 'this region'} in the account settings of IAM, or name another region in ${PREFIX}region.`,
  SigningAsked: ({ region = 'the default' }) =>
    `Region is ${region}, for which STS would want a signature: name a real region in ${PREFIX}region.`,
  ValidationError: ({ sessionDurationSeconds, roleArn }) =>
    `${PREFIX}session-duration is ${sessionDurationSeconds} s: the maximum session duration of ${roleArn} must be at least that.`,
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
    `${proxyOf(config)} must be reached from the pod: look at its address, at NetworkPolicies, and where it is https ` +
    `at its CA (stsCa); hosts that need no proxy stand in stsNoProxy.`
  )
}

function unknownCa({ stsCa }: CredentialsConfig): string {
  return stsCa === undefined
    ? `The certificate leads to no public CA: put its CA into stsCa of ${SETTINGS}.`
    : `The certificate leads to none of the CAs in stsCa of ${SETTINGS}, which alone are trusted: add its CA.`
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
