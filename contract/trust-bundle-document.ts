import { NocredsError } from '../shared/base/errors.ts'
import { jsonObject } from '../shared/base/json.ts'
import { certificatesIn } from '../shared/x509/pem.ts'
import { CERTIFICATE_LIMITS } from './certificates.ts'

/** What the child hands to the resident process for a trust bundle: PEM, and what JSON adds to its line breaks. */
export const TRUST_BUNDLE_DOCUMENT_MAX_BYTES = CERTIFICATE_LIMITS.answerBytes * 2

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
