import { readFile, stat } from 'node:fs/promises'
import { decodeJwt, type JWTPayload } from 'jose'
import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import { codeOf } from '../../platform/errors.ts'
import { ExchangeError, nameOf } from '../failure.ts'

/** WebIdentityToken of STS has 4–20000 characters. */
const LENGTH = { min: 4, max: 20_000 } as const

/** What a token says of itself, for messages and hints; nothing in it is secret. */
export interface Claims {
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
  /** Milliseconds since the epoch; undefined where the token does not end. */
  readonly expiresAtMs: number | undefined
}

export interface WebIdentityToken {
  /** The secret itself. */
  readonly jwt: string
  readonly claims: Claims
}

/**
 * Reads the token from its file, anew for each exchange. The signature is not checked: STS is the
 * relying party, we only look before we send.
 *
 * @throws ExchangeError of class `token`: TokenMissing, TokenUnreadable, TokenMalformed
 */
export async function readToken(config: ExchangerConfig): Promise<WebIdentityToken> {
  const jwt = (await readText(config)).replace(/\r?\n$/, '')
  if (jwt.length < LENGTH.min || jwt.length > LENGTH.max) {
    throw malformed(config, `it has ${jwt.length} characters; allowed: ${LENGTH.min}–${LENGTH.max}`)
  }
  return { jwt, claims: claimsOf(jwt, config) }
}

function claimsOf(jwt: string, config: ExchangerConfig): Claims {
  let payload: JWTPayload
  try {
    payload = decodeJwt(jwt)
  } catch {
    throw malformed(config, 'it is no JWT') // the parser's own words could quote the token
  }
  // The types of JWTPayload are what should be in it.
  const { iss, sub, aud, exp }: Readonly<Record<string, unknown>> = payload
  return {
    issuer: typeof iss === 'string' ? iss : '',
    subject: typeof sub === 'string' ? sub : '',
    audiences: [aud].flat().filter((one) => typeof one === 'string'),
    expiresAtMs: typeof exp === 'number' ? exp * 1000 : undefined,
  }
}

async function readText(config: ExchangerConfig): Promise<string> {
  const { tokenFile } = config
  let sizeBytes: number
  let text: string
  try {
    sizeBytes = (await stat(tokenFile)).size
    text = sizeBytes > LENGTH.max + 2 ? '' : await readFile(tokenFile, 'utf8')
  } catch (error) {
    const code = codeOf(error) ?? 'unknown'
    const isMissing = code === 'ENOENT'
    throw new ExchangeError(
      'token',
      isMissing ? 'TokenMissing' : 'TokenUnreadable',
      `no exchange of ${nameOf(config)}: the token file ${tokenFile} ${isMissing ? 'does not exist' : `cannot be read: ${code}`}`,
      'The kubelet writes it: look at the events of the pod.',
    )
  }
  if (text === '') {
    throw malformed(config, `it has ${sizeBytes} bytes; allowed: ${LENGTH.min}–${LENGTH.max}`)
  }
  return text
}

function malformed(config: ExchangerConfig, what: string): ExchangeError {
  return new ExchangeError(
    'token',
    'TokenMalformed',
    `no exchange of ${nameOf(config)}: the token file ${config.tokenFile} is malformed: ${what}`,
    'It must hold a projected ServiceAccount token.',
  )
}
