import { NocredsError } from '../shared/base/errors.ts'
import { CERTIFICATE_LIMITS } from './certificates.ts'

/** A key with its certificate: the one thing that the certificate's child hands to the resident process. */
export interface CertificateDocument {
  /** PKCS #8, PEM. The secret. */
  readonly key: string
  /** Leaf, then the intermediate; PEM. */
  readonly certificate: string
  /** The CAs that peers accept; PEM. */
  readonly trustBundle: string
  /** ISO 8601, of the leaf. They stand beside it so that the resident process needs no X.509 parser. */
  readonly notBefore: string
  readonly notAfter: string
}

/** An answer, the key, and what JSON adds to their line breaks. */
export const CERTIFICATE_DOCUMENT_MAX_BYTES = CERTIFICATE_LIMITS.answerBytes * 2

/** The authority dates certificates back by this much, for clocks that are a little behind; short ones by less. */
const BACKDATED = { mostMs: 60_000, mostPart: 1 / 6 } as const

class CertificateDocumentError extends NocredsError<'ERR_CERTIFICATE_DOCUMENT'> {}

/** Its end, in milliseconds since the epoch. */
export function notAfterOf({ notAfter }: Pick<CertificateDocument, 'notAfter'>): number {
  return Date.parse(notAfter)
}

/** From its issue to its end, in milliseconds. */
export function lifeMsOf({ notBefore, notAfter }: CertificateDocument): number {
  const wholeMs = Date.parse(notAfter) - Date.parse(notBefore)
  return wholeMs - Math.min(BACKDATED.mostMs, wholeMs * BACKDATED.mostPart)
}

/** One line of JSON. */
export function formatCertificateDocument(document: CertificateDocument): string {
  const { key, certificate, trustBundle, notBefore, notAfter } = document
  return JSON.stringify({ key, certificate, trustBundle, notBefore, notAfter })
}

/**
 * Reads what {@link formatCertificateDocument} wrote.
 *
 * @throws CertificateDocumentError that names the field, never its content
 */
export function parseCertificateDocument(text: string): CertificateDocument {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw refused('it is not JSON') // without cause: the parser's message quotes the text
  }
  if (typeof parsed !== 'object' || parsed === null) throw refused('it is not an object')
  const fields = parsed as Record<string, unknown>
  return checkedDocument({
    key: fields['key'],
    certificate: fields['certificate'],
    trustBundle: fields['trustBundle'],
    notBefore: fields['notBefore'],
    notAfter: fields['notAfter'],
  })
}

type Unchecked = Readonly<Record<keyof CertificateDocument, unknown>>

/** A document of these fields. @throws CertificateDocumentError */
export function checkedDocument(fields: Unchecked): CertificateDocument {
  return {
    key: pemOf(fields, 'key', 'PRIVATE KEY'),
    certificate: pemOf(fields, 'certificate', 'CERTIFICATE'),
    trustBundle: pemOf(fields, 'trustBundle', 'CERTIFICATE'),
    notBefore: momentOf(fields, 'notBefore'),
    notAfter: momentOf(fields, 'notAfter'),
  }
}

function pemOf(fields: Unchecked, name: keyof CertificateDocument, label: string): string {
  const value = fields[name]
  const isPem =
    typeof value === 'string' &&
    value.includes(`-----BEGIN ${label}-----\n`) &&
    value.trimEnd().endsWith(`-----END ${label}-----`)
  if (!isPem) throw refused(`${name} is no PEM of ${label}`)
  return value
}

function momentOf(fields: Unchecked, name: keyof CertificateDocument): string {
  const value = fields[name]
  if (typeof value !== 'string' || Number.isNaN(Date.parse(value))) {
    throw refused(`${name} is no moment`)
  }
  return value
}

function refused(why: string): CertificateDocumentError {
  return new CertificateDocumentError(
    'ERR_CERTIFICATE_DOCUMENT',
    `not a key with its certificate: ${why}`,
  )
}
