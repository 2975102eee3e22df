import { AUTHORITY } from '../../contract/certificates.ts'
import { Refusal } from '../refusal.ts'

/** Clocks of apiserver and authority may differ by this much. */
const SKEW_MS = 60_000
/** Claims of a ServiceAccount's token are far smaller. */
const MAX_CLAIMS_BYTES = 6144

/**
 * Whether a token may be one for the authority: three parts, a ServiceAccount's claims for our audience, not
 * expired. Nothing is verified: it keeps what the apiserver would refuse from being asked about, for any client that
 * does not even try. What the apiserver says of the token counts alone.
 *
 * @throws Refusal
 */
export function requirePlausible(token: string, nowMs: number): void {
  const { aud, exp } = claimsOf(token)
  const audiences = Array.isArray(aud) ? (aud as unknown[]) : [aud]
  if (!audiences.includes(AUTHORITY.audience)) {
    throw invalid(`its audience is not ${AUTHORITY.audience}`)
  }
  if (typeof exp !== 'number' || exp * 1000 + SKEW_MS < nowMs) throw invalid('it is expired')
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
