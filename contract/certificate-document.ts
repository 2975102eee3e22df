import { NocredsError } from '../shared/base/errors.ts'
import { CERTIFICATE_LIMITS } from './certificates.ts'

/** A key with its certificate: what the child process `certificate` returns to the sidecar process. */
export interface CertificateDocument {
  /** PKCS #8, PEM. The secret. */
  readonly key: string
  /** Leaf, then the intermediate; PEM. */
  readonly certificate: string
  /** The CAs that peers accept; PEM. */
  readonly trustBundle: string
  /** ISO 8601, of the leaf; given separately so that the sidecar process needs no X.509 parser. */
  readonly notBefore: string
  readonly notAfter: string
}

/** A response, the key, and JSON escapes of their line breaks. */
export const CERTIFICATE_DOCUMENT_MAX_BYTES = CERTIFICATE_LIMITS.answerBytes * 2

/** The authority back-dates certificates by this much, for clocks that lag; short-lived ones by less. */
const BACKDATING = { maxMs: 60_000, maxPart: 1 / 6 } as const

/** When it expires, in milliseconds since the epoch. */
export function notAfterOf({ notAfter }: Pick<CertificateDocument, 'notAfter'>): number {
  return Date.parse(notAfter)
}

/** Lifetime from the real time of issue, without back-dating, in milliseconds. */
export function lifetimeMsOf({ notBefore, notAfter }: CertificateDocument): number {
  const wholeMs = Date.parse(notAfter) - Date.parse(notBefore)
  return wholeMs - Math.min(BACKDATING.maxMs, wholeMs * BACKDATING.maxPart)
}

/** One line of JSON. */
export function formatCertificateDocument(document: CertificateDocument): string {
  const { key, certificate, trustBundle, notBefore, notAfter } = document
  return JSON.stringify({ key, certificate, trustBundle, notBefore, notAfter })
}

/**
 * Reads what {@link formatCertificateDocument} wrote.
 *
 * @throws NocredsError that names the field, never its content
 */
export function parseCertificateDocument(text: string): CertificateDocument {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw invalid('it is not JSON') // without cause: the parser's message quotes the text
  }
  if (typeof parsed !== 'object' || parsed === null) throw invalid('it is not an object')
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

/** A document of these fields. @throws NocredsError */
export function checkedDocument(fields: Unchecked): CertificateDocument {
  return {
    key: pemOf(fields, 'key', 'PRIVATE KEY'),
    certificate: pemOf(fields, 'certificate', 'CERTIFICATE'),
    trustBundle: pemOf(fields, 'trustBundle', 'CERTIFICATE'),
    notBefore: timestampOf(fields, 'notBefore'),
    notAfter: timestampOf(fields, 'notAfter'),
  }
}

function pemOf(fields: Unchecked, name: keyof CertificateDocument, label: string): string {
  const value = fields[name]
  const isPem =
    typeof value === 'string' &&
    value.includes(`-----BEGIN ${label}-----\n`) &&
    value.trimEnd().endsWith(`-----END ${label}-----`)
  if (!isPem) throw invalid(`${name} is not a PEM block of type ${label}`)
  return value
}

function timestampOf(fields: Unchecked, name: keyof CertificateDocument): string {
  const value = fields[name]
  if (typeof value !== 'string' || Number.isNaN(Date.parse(value))) {
    throw invalid(`${name} is not a timestamp`)
  }
  return value
}

function invalid(why: string): NocredsError {
  return new NocredsError('ERR_CERTIFICATE_DOCUMENT', `not a key with its certificate: ${why}`)
}
