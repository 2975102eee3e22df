import {
  CERTIFICATE_LIMITS,
  CERTIFICATE_SECONDS,
  type CertificateRequest,
} from '../../contract/certificates.ts'
import { fieldsOf } from '../../shared/base/json.ts'
import { Refusal } from '../refusal.ts'

/** Parses and validates the exchanger's request, as far as that needs no other service. @throws Refusal */
export function readBody(text: string): CertificateRequest {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new Refusal('request-invalid', 'the body is not JSON')
  }
  const { csr, durationSeconds } = fieldsOf(parsed)
  if (typeof csr !== 'string' || csr.length > CERTIFICATE_LIMITS.csrBytes) {
    const max = CERTIFICATE_LIMITS.csrBytes
    throw new Refusal('request-invalid', `csr must be text of at most ${max} characters`)
  }
  const { min, max } = CERTIFICATE_SECONDS
  if (
    typeof durationSeconds !== 'number' ||
    !Number.isInteger(durationSeconds) ||
    durationSeconds < min ||
    durationSeconds > max
  ) {
    throw new Refusal(
      'duration-out-of-bounds',
      `durationSeconds is ${typeof durationSeconds === 'number' ? durationSeconds : 'not a number'}; allowed: whole seconds from ${min} to ${max}`,
    )
  }
  return { csr, durationSeconds }
}

/** Longer than any token that an apiserver issues. */
const MAX_TOKEN_CHARACTERS = 8192

/** The bearer token of the header. @throws Refusal */
export function readToken(authorization: string | undefined): string {
  const [, token] = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization ?? '') ?? []
  if (token === undefined || token.length > MAX_TOKEN_CHARACTERS) {
    throw new Refusal('token-invalid', 'the request has no token as Authorization: Bearer')
  }
  return token
}
