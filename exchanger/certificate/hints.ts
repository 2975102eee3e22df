import {
  AUTHORITY,
  AUTHORITY_VOLUME,
  CERTIFICATE_SECONDS,
  TRUST_BUNDLE,
} from '../../contract/certificates.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES, PREFIX } from '../../contract/names.ts'

/**
 * Says what to check, in plain words for anyone who runs the app, by the failure's code; undefined if the
 * message already says everything that is known.
 */
export function hintFor(code: string, config: CertificateConfig): string | undefined {
  if (/CERT|SIGNATURE|^ERR_SSL|^ERR_TLS/.test(code)) return trustBundle(config)
  return Object.hasOwn(HINTS, code) ? HINTS[code]?.(config) : undefined
}

type Hint = (config: CertificateConfig) => string

/** By the code of the failure; docs/reference/events.md is generated from it. */
export const HINTS: Readonly<Record<string, Hint>> = {
  'name-not-permitted': ({ namespace }) =>
    `Compare ${PREFIX}certificate-dns-names of the Pod or ServiceAccount with ${PERMITTED_DNS_NAMES} of Namespace ${namespace}.`,
  'namespace-not-enabled': ({ namespace }) =>
    `Namespace ${namespace} needs ${PERMITTED_DNS_NAMES}, which may be empty; the webhook then sets the label ${INJECTION_LABEL.key}=${INJECTION_LABEL.value}.`,
  'duration-out-of-bounds': ({ durationSeconds }) =>
    `${PREFIX}certificate-duration is ${durationSeconds} s; allowed: ${CERTIFICATE_SECONDS.min} to ${CERTIFICATE_SECONDS.max}, or less if the authority is configured so.`,
  'token-invalid': () =>
    `The token must be from this cluster, for ${AUTHORITY.audience}; the kubelet renews it.`,
  'token-lifetime-too-long': () =>
    `The token must be the one that the kubelet writes, with a lifetime of at most ${AUTHORITY_VOLUME.tokenExpirationSeconds} s.`,
  WrongAudience: () =>
    `The volume ${AUTHORITY_VOLUME.name} must be the one that the webhook writes, with a token for ${AUTHORITY.audience}.`,
  'pod-gone': ({ pod, namespace }) => `Is pod ${namespace}/${pod} being deleted?`,
  TrustBundleMissing: trustBundle,
  TrustBundleMalformed: trustBundle,
  ENOTFOUND: service,
  EAI_AGAIN: service,
  ECONNREFUSED: service,
  ECONNRESET: service,
  EHOSTUNREACH: service,
  Timeout: service,
}

function trustBundle({ namespace, authorityFolder, tlsFolder }: CertificateConfig): string {
  const { configMap, key } = TRUST_BUNDLE
  return `The first request verifies the authority by ${key} of ConfigMap ${namespace}/${configMap}, which the authority itself maintains; it is mounted as ${authorityFolder}/${AUTHORITY_VOLUME.files.trustBundle}. Later requests verify it by the trust bundle in ${tlsFolder}, until that certificate has expired.`
}

function service({ authorityUrl }: CertificateConfig): string {
  return `Is the Deployment ${AUTHORITY.namespace}/${AUTHORITY.service} ready, and can this pod reach ${authorityUrl}?`
}
