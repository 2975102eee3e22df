/** Test double, part of the embedded STS: what a web identity token proves. Never shipped. */
import { get } from 'node:https'
import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
} from 'jose'
import type { Clock } from '../../../shared/base/clock.ts'
import { Refusal } from './refusal.ts'
import { providerOf, type WebIdentity } from './trust-policy.ts'

/** An IAM OIDC provider: an issuer that the account knows. */
export interface OidcProvider {
  /** The issuer, an https URL. */
  readonly url: string
  /** The CA that its certificate must come from, in PEM. */
  readonly caPem: string
  /** Audiences that the provider is registered with; `sts.amazonaws.com` if not given. */
  readonly clientIds?: readonly string[]
}

const DEFAULT_CLIENT_IDS: readonly string[] = ['sts.amazonaws.com']

/** Source: STS API reference, AssumeRoleWithWebIdentity, WebIdentityToken. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']
const REQUIRED_CLAIMS = ['iss', 'sub', 'aud', 'exp', 'iat']

const FETCH = { timeoutMs: 5_000, maxBytes: 65_536 } as const

const NO_VERIFICATION_KEY =
  "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"

/**
 * Finds the issuer's keys through its discovery document, as AWS does, and checks the token.
 * Keys are fetched for each request; AWS caches them for a while.
 *
 * @throws Refusal InvalidIdentityToken, ExpiredTokenException or IDPCommunicationError
 */
export async function verifyWebIdentity(
  token: string,
  providers: readonly OidcProvider[],
  clock: Clock,
): Promise<WebIdentity> {
  const issuer = issuerOf(token)
  const provider = providers.find(({ url }) => url === issuer)
  if (provider === undefined) {
    const message = `No OpenIDConnect provider found in your account for ${issuer}`
    throw new Refusal('InvalidIdentityToken', message)
  }
  const claims = await verifiedClaims(token, await keysOf(provider), provider.url, clock)
  const { sub, exp = 0 } = claims
  if (exp * 1000 <= clock.now()) {
    const now = Math.floor(clock.now() / 1000)
    const message = `Token expired: current date/time ${now} must be before the expiration date/time ${exp}`
    throw new Refusal('ExpiredTokenException', message)
  }
  const audience = audienceOf(claims)
  const clientIds = provider.clientIds ?? DEFAULT_CLIENT_IDS
  if (audience === undefined || !clientIds.includes(audience)) {
    throw new Refusal('InvalidIdentityToken', 'Incorrect token audience')
  }
  return { provider: providerOf(provider.url), subject: sub ?? '', audience }
}

function issuerOf(token: string): string {
  try {
    return decodeJwt(token).iss ?? ''
  } catch (error) {
    throw new Refusal('InvalidIdentityToken', 'The ID Token provided is not a valid JWT', {
      cause: error,
    })
  }
}

/** The signature and the presence of the claims; `exp` is judged apart because its code is another. */
async function verifiedClaims(
  token: string,
  keys: JSONWebKeySet,
  issuer: string,
  clock: Clock,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
      algorithms: ALGORITHMS,
      issuer,
      requiredClaims: REQUIRED_CLAIMS,
      currentDate: new Date(clock.now()),
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) return error.payload
    throw new Refusal('InvalidIdentityToken', NO_VERIFICATION_KEY, { cause: error })
  }
}

/**
 * The one audience that counts: `azp`, else the only `aud`. A token for several needs `azp`.
 * Source: IAM, "Available keys for AWS OIDC federation"; OpenID Connect Core 1.0, 3.1.3.7.
 */
function audienceOf(claims: JWTPayload): string | undefined {
  if (typeof claims['azp'] === 'string') return claims['azp']
  if (typeof claims.aud === 'string') return claims.aud
  return claims.aud?.length === 1 ? claims.aud[0] : undefined
}

async function keysOf(provider: OidcProvider): Promise<JSONWebKeySet> {
  const discovery = await fetchObject(
    `${provider.url}/.well-known/openid-configuration`,
    provider.caPem,
  )
  const jwksUri = discovery['jwks_uri']
  if (discovery['issuer'] !== provider.url || typeof jwksUri !== 'string') {
    throw new Refusal('InvalidIdentityToken', NO_VERIFICATION_KEY)
  }
  const jwks = await fetchObject(jwksUri, provider.caPem)
  if (!Array.isArray(jwks['keys'])) throw new Refusal('InvalidIdentityToken', NO_VERIFICATION_KEY)
  return jwks as unknown as JSONWebKeySet
}

async function fetchObject(url: string, caPem: string): Promise<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(await fetchText(url, caPem))
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>
    throw new SyntaxError('not an object')
  } catch (error) {
    const message = `Could not get ${url} of the identity provider`
    throw new Refusal('IDPCommunicationError', message, { cause: error })
  }
}

function fetchText(url: string, caPem: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(FETCH.timeoutMs)
    const request = get(url, { ca: caPem, agent: false, signal }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', reject)
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > FETCH.maxBytes) response.destroy(new RangeError('too large'))
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`status ${response.statusCode ?? 0}`))
      })
    })
    request.on('error', reject)
  })
}
