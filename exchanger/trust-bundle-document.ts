import { CERTIFICATE_LIMITS } from '../contract/certificates.ts'
import { NocredsError } from '../platform/errors.ts'
import { jsonObject } from '../platform/json.ts'

/** What the child hands to the resident process for a trust bundle: PEM, and what JSON adds to its line breaks. */
export const TRUST_BUNDLE_DOCUMENT_MAX_BYTES = CERTIFICATE_LIMITS.answerBytes * 2

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

class TrustBundleDocumentError extends NocredsError<'ERR_TRUST_BUNDLE_DOCUMENT'> {}

/** One line of JSON. @param pem of the CAs */
export function formatTrustBundle(pem: string): string {
  return JSON.stringify({ trustBundle: pem })
}

/** Reads what {@link formatTrustBundle} wrote. @throws TrustBundleDocumentError */
export function parseTrustBundle(text: string): string {
  const { trustBundle } = jsonObject(text) ?? {}
  const pem = typeof trustBundle === 'string' ? certificatesIn(trustBundle) : ''
  if (pem !== '') return pem
  throw new TrustBundleDocumentError('ERR_TRUST_BUNDLE_DOCUMENT', 'not a trust bundle')
}

/** The certificates of a text, each in PEM without what stands around it. */
export function splitCertificates(pem: string): readonly string[] {
  return pem.match(CERTIFICATE) ?? []
}

/** Its certificates alone, in PEM, so that only they are compared; empty text if it has none. */
export function certificatesIn(pem: string): string {
  return splitCertificates(pem)
    .map((one) => `${one}\n`)
    .join('')
}
