import { NocredsError } from '../shared/base/errors.ts'
import { jsonObject } from '../shared/base/json.ts'
import { certificatesIn } from '../shared/x509/pem.ts'
import { CERTIFICATE_LIMITS } from './certificates.ts'

/** The child process' trust bundle for the sidecar process: PEM, and JSON escapes of its line breaks. */
export const TRUST_BUNDLE_DOCUMENT_MAX_BYTES = CERTIFICATE_LIMITS.answerBytes * 2

/** One line of JSON. @param pem of the CAs */
export function formatTrustBundle(pem: string): string {
  return JSON.stringify({ trustBundle: pem })
}

/** Reads what {@link formatTrustBundle} wrote. @throws NocredsError */
export function parseTrustBundle(text: string): string {
  const { trustBundle } = jsonObject(text) ?? {}
  const pem = typeof trustBundle === 'string' ? certificatesIn(trustBundle) : ''
  if (pem !== '') return pem
  throw new NocredsError('ERR_TRUST_BUNDLE_DOCUMENT', 'not a trust bundle')
}
