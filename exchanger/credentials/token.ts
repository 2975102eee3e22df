import { decodeJwt, type JWTPayload } from 'jose'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { type SidecarError, exchangeOf } from '../failure.ts'
import { malformedToken, readTokenFile } from '../token-file.ts'

/** Claims of a token, for messages and hints; they are not secret. */
export interface Claims {
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
  /** Milliseconds since the epoch; undefined if absent. */
  readonly issuedAtMs: number | undefined
  /** Milliseconds since the epoch; undefined if the token does not expire. */
  readonly expiresAtMs: number | undefined
}

export interface WebIdentityToken {
  /** The secret itself. */
  readonly jwt: string
  readonly claims: Claims
}

/**
 * Reads the token from its file, again for each exchange. The signature is not verified: STS is the relying
 * party, the claims are only checked before sending.
 *
 * @throws SidecarError of class `token`: TokenMissing, TokenUnreadable, TokenMalformed
 */
export async function readToken(config: CredentialsConfig): Promise<WebIdentityToken> {
  const jwt = await readTokenFile(config.tokenFile, exchangeOf(config))
  return { jwt, claims: claimsOf(jwt, config) }
}

function claimsOf(jwt: string, config: CredentialsConfig): Claims {
  let payload: JWTPayload
  try {
    payload = decodeJwt(jwt)
  } catch {
    throw malformed(config, 'it is not a JWT') // the parser's message could quote the token
  }
  // The claims may have other types than JWTPayload declares.
  const { iss, sub, aud, iat, exp }: Readonly<Record<string, unknown>> = payload
  return {
    issuer: typeof iss === 'string' ? iss : '',
    subject: typeof sub === 'string' ? sub : '',
    audiences: [aud].flat().filter((one) => typeof one === 'string'),
    issuedAtMs: typeof iat === 'number' ? iat * 1000 : undefined,
    expiresAtMs: typeof exp === 'number' ? exp * 1000 : undefined,
  }
}

function malformed(config: CredentialsConfig, what: string): SidecarError {
  return malformedToken(config.tokenFile, exchangeOf(config), what)
}
