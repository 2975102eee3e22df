import { AUTHORITY } from '../../contract/certificates.ts'
import { Refusal } from '../refusal.ts'

/** Tolerated difference between the clocks of apiserver and authority. */
const SKEW_MS = 60_000
/** Claims of a ServiceAccount's token are far smaller. */
const MAX_CLAIMS_BYTES = 6144

/**
 * Requires that a token could be one for the authority: it has three parts, its claims name the authority's audience
 * and it has not expired. Nothing is verified: this only saves a TokenReview for a token that the apiserver would
 * reject. Only the apiserver's verdict counts.
 *
 * @throws Refusal
 */
export function requirePlausible(token: string, nowMs: number): void {
  const { aud, exp } = claimsOf(token)
  const audiences = Array.isArray(aud) ? (aud as unknown[]) : [aud]
  if (!audiences.includes(AUTHORITY.audience)) {
    throw invalid(`its audience is not ${AUTHORITY.audience}`)
  }
  if (typeof exp !== 'number' || exp * 1000 + SKEW_MS < nowMs) throw invalid('it has expired')
}

function claimsOf(token: string): { readonly aud?: unknown; readonly exp?: unknown } {
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  const isJwt = header !== '' && payload !== '' && signature !== '' && more.length === 0
  if (!isJwt || payload.length > MAX_CLAIMS_BYTES) throw invalid('it is not a JWT')
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    if (typeof claims === 'object' && claims !== null) return claims
  } catch {
    // falls through
  }
  throw invalid('its claims are not JSON')
}

function invalid(why: string): Refusal {
  return new Refusal('token-invalid', `the token is not accepted: ${why}`)
}
