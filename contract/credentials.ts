import { NocredsError } from '../shared/base/errors.ts'

/**
 * The credential document: what `credential_process` prints, and the one thing that the exchange
 * hands to the resident process.
 * Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
 */
export interface CredentialDocument {
  readonly Version: 1
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
  readonly SessionToken: string
  /** `YYYY-MM-DDTHH:MM:SSZ`, the only form that every SDK reads. See {@link publishedExpiration}. */
  readonly Expiration: string
  /** 12 digits. */
  readonly AccountId: string
}

/** STS session tokens may grow to 4096; everything else is short. */
export const CREDENTIAL_DOCUMENT_MAX_BYTES = 16_384

const EXPIRATION = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/

export class CredentialDocumentError extends NocredsError<'ERR_CREDENTIAL_DOCUMENT'> {}

/** `YYYY-MM-DDTHH:MM:SSZ`, rounded down, so never later than the moment itself. */
export function formatExpiration(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
}

/** Milliseconds since the epoch. */
export function expirationOf(document: CredentialDocument): number {
  return Date.parse(document.Expiration)
}

/**
 * When the app is told that credentials end: some SDKs use them to the last second, so requests in
 * flight and slow clocks get a margin of 300 s, or a tenth of a life below 50 min.
 *
 * @param expiresAtMs when they really end
 * @param lifeMs from their issue to their end
 */
export function publishedExpirationMs(expiresAtMs: number, lifeMs: number): number {
  return expiresAtMs - Math.min(300_000, lifeMs / 10)
}

/** One line of JSON, without a line break: readers want exactly one document. */
export function formatCredentialDocument(document: CredentialDocument): string {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration, AccountId } = document
  return JSON.stringify({
    Version: 1,
    AccessKeyId,
    SecretAccessKey,
    SessionToken,
    Expiration,
    AccountId,
  })
}

/**
 * Reads a document strictly: every field is there, non-empty and well-formed.
 *
 * @throws CredentialDocumentError that names the field, never its content
 */
export function parseCredentialDocument(text: string): CredentialDocument {
  if (text.length > CREDENTIAL_DOCUMENT_MAX_BYTES) throw refused('it is too large')
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw refused('it is not JSON') // without cause: the parser's message quotes the text
  }
  if (typeof parsed !== 'object' || parsed === null) throw refused('it is not an object')
  const fields = parsed as Record<string, unknown>
  if (fields['Version'] !== 1) throw refused('Version is not 1')
  const document: CredentialDocument = {
    Version: 1,
    AccessKeyId: textField(fields, 'AccessKeyId'),
    SecretAccessKey: textField(fields, 'SecretAccessKey'),
    SessionToken: textField(fields, 'SessionToken'),
    Expiration: textField(fields, 'Expiration'),
    AccountId: textField(fields, 'AccountId'),
  }
  if (!EXPIRATION.test(document.Expiration) || Number.isNaN(expirationOf(document))) {
    throw refused('Expiration is not YYYY-MM-DDTHH:MM:SSZ')
  }
  return document
}

function textField(fields: Record<string, unknown>, name: keyof CredentialDocument): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw refused(`${name} is missing`)
  return value
}

function refused(why: string): CredentialDocumentError {
  return new CredentialDocumentError('ERR_CREDENTIAL_DOCUMENT', `not a credential document: ${why}`)
}
