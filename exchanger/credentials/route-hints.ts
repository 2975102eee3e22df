import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import { PREFIX } from '../../contract/names.ts'

/**
 * Says what to check on the way to STS, by the code of the failure: the same in every step. Undefined if the message
 * already says everything that is known.
 */
export function routeHintFor(code: string, config: ExchangeConfig): string | undefined {
  if (Object.hasOwn(HINTS, code)) return HINTS[code]?.(config)
  return UNKNOWN_CA.test(code) ? unknownCa(config) : undefined
}

/** Codes of TLS for a chain without a trusted CA. Source: OpenSSL, X509_STORE_CTX_get_error. */
const UNKNOWN_CA = /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|CERT_UNTRUSTED/

type Hint = (config: ExchangeConfig) => string

/** By the code of the failure; docs/reference/events.md is generated from it. */
export const HINTS: Readonly<Record<string, Hint>> = {
  ProxyAuthenticationRequired: (config) =>
    `${proxyOf(config)} must accept pods without a password: anyone who may read a pod could read the password.`,
  ProxyFailed: (config) => `${proxyOf(config)} must reach ${stsOf(config)}.`,
  ProxyRefused: (config) => `${proxyOf(config)} must permit CONNECT to ${stsOf(config)}.`,
  ProxyTimeout: unreachableProxy,
  ProxyUnreachable: unreachableProxy,
  RegionDisabledException: ({ region }) =>
    `Activate STS for ${region ?? 'this region'} in the account settings of IAM, or set ${PREFIX}region to another region.`,
}

const SETTINGS = 'ConfigMap nocreds-settings'

function proxyOf({ stsProxy = '' }: ExchangeConfig): string {
  return `The proxy ${stsProxy} (stsProxy of ${SETTINGS})`
}

function stsOf({ stsEndpoint, region }: ExchangeConfig): string {
  return stsEndpoint ?? `STS of region ${region ?? 'us-east-1'}`
}

function unreachableProxy(config: ExchangeConfig): string {
  return (
    `${proxyOf(config)} must be reachable from the pod: check its address, NetworkPolicies and, if it is https, ` +
    `its CA (stsCa); list hosts that need no proxy in stsNoProxy.`
  )
}

function unknownCa({ stsCa }: ExchangeConfig): string {
  return stsCa === undefined
    ? `The certificate does not chain to a public CA: add its CA to stsCa of ${SETTINGS}.`
    : `The certificate does not chain to a CA in stsCa of ${SETTINGS}, and only those are trusted: add its CA.`
}
