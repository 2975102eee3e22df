import { NocredsError } from '../shared/base/errors.ts'

/**
 * The credential document: what `credential_process` prints, and what the child process
 * `exchange` returns to the sidecar process.
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

/** `YYYY-MM-DDTHH:MM:SSZ`, rounded down, so never later than the given time. */
export function formatExpiration(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
}

/** Milliseconds since the epoch. */
export function expirationOf(document: CredentialDocument): number {
  return Date.parse(document.Expiration)
}

/**
 * The expiration that the app sees. Some SDKs use credentials to the last second, so it is earlier than the
 * real one, by 300 s or, with lifetimes below 50 min, a tenth: a margin for requests in flight and slow clocks.
 *
 * @param expiresAtMs the real expiration
 * @param lifetimeMs from issue to expiration
 */
export function publishedExpirationMs(expiresAtMs: number, lifetimeMs: number): number {
  return expiresAtMs - Math.min(300_000, lifetimeMs / 10)
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
 * @throws NocredsError that names the field, never its content
 */
export function parseCredentialDocument(text: string): CredentialDocument {
  if (text.length > CREDENTIAL_DOCUMENT_MAX_BYTES) throw invalid('it is too large')
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw invalid('it is not JSON') // without cause: the parser's message quotes the text
  }
  if (typeof parsed !== 'object' || parsed === null) throw invalid('it is not an object')
  const fields = parsed as Record<string, unknown>
  if (fields['Version'] !== 1) throw invalid('Version is not 1')
  const document: CredentialDocument = {
    Version: 1,
    AccessKeyId: textField(fields, 'AccessKeyId'),
    SecretAccessKey: textField(fields, 'SecretAccessKey'),
    SessionToken: textField(fields, 'SessionToken'),
    Expiration: textField(fields, 'Expiration'),
    AccountId: textField(fields, 'AccountId'),
  }
  if (!EXPIRATION.test(document.Expiration) || Number.isNaN(expirationOf(document))) {
    throw invalid('Expiration is not YYYY-MM-DDTHH:MM:SSZ')
  }
  return document
}

function textField(fields: Record<string, unknown>, name: keyof CredentialDocument): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw invalid(`${name} is missing`)
  return value
}

function invalid(why: string): NocredsError {
  return new NocredsError('ERR_CREDENTIAL_DOCUMENT', `not a credential document: ${why}`)
}
