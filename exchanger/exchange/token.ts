import { readFile, stat } from 'node:fs/promises'
import { decodeJwt, type JWTPayload } from 'jose'
import { codeOf } from '../../platform/errors.ts'
import { ExchangeError } from '../failure.ts'

/** WebIdentityToken of STS has 4–20000 characters. */
const LENGTH = { min: 4, max: 20_000 } as const

/** The projected token with the claims that errors quote. None of these is secret but `jwt`. */
export interface WebIdentityToken {
  readonly jwt: string
  readonly claims: {
    readonly issuer: string
    readonly subject: string
    readonly audiences: readonly string[]
    /** Milliseconds since the epoch; undefined where the token has no `exp`. */
    readonly expiresAtMs: number | undefined
  }
}

/**
 * Reads the token from its file, anew for each exchange. The signature is not checked: STS is the
 * relying party, we only look before we send.
 *
 * @throws ExchangeError of kind `token`: TokenMissing, TokenUnreadable, TokenMalformed
 */
export async function readToken(path: string): Promise<WebIdentityToken> {
  const jwt = (await readText(path)).replace(/\r?\n$/, '')
  if (jwt.length < LENGTH.min || jwt.length > LENGTH.max)
    throw malformed(path, `${jwt.length} characters`)
  let claims: JWTPayload
  try {
    claims = decodeJwt(jwt)
  } catch {
    throw malformed(path, 'no JWT') // without cause: it could quote the token
  }
  const { iss = '', sub = '', aud = [], exp } = claims
  return {
    jwt,
    claims: {
      issuer: iss,
      subject: sub,
      audiences: typeof aud === 'string' ? [aud] : aud,
      expiresAtMs: exp === undefined ? undefined : exp * 1000,
    },
  }
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > LENGTH.max * 2) throw malformed(path, `${size} bytes`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof ExchangeError) throw error
    const code = codeOf(error) ?? 'unknown'
    throw code === 'ENOENT'
      ? new ExchangeError('token', 'TokenMissing', `the token file ${path} does not exist`, {
          hint: 'The kubelet writes it; look at the events of the pod.',
        })
      : new ExchangeError(
          'token',
          'TokenUnreadable',
          `the token file ${path} cannot be read: ${code}`,
        )
  }
}

function malformed(path: string, what: string): ExchangeError {
  return new ExchangeError('token', 'TokenMalformed', `the token file ${path} holds ${what}`, {
    hint: 'It must hold a projected ServiceAccount token.',
  })
}
