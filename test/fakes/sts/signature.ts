/** Test double, part of the embedded STS: checks SigV4 signatures for real. Never shipped. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../../../shared/base/clock.ts'
import { Refusal } from './refusal.ts'
import type { Session, Sessions } from './sessions.ts'

/** A POST to `/` without query: all that the query protocol needs. */
export interface SignedRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

interface Authorization {
  readonly accessKeyId: string
  /** `<date>/<region>/sts/aws4_request`. */
  readonly scope: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
}

/** Source: IAM, "Elements of an AWS API request signature". */
const MAX_SKEW_MS = 300_000
const MUST_BE_SIGNED = ['host', 'x-amz-date', 'x-amz-security-token']

const MESSAGES = {
  missing: 'Request is missing Authentication Token',
  incomplete:
    'Authorization header is not AWS4-HMAC-SHA256 with Credential, SignedHeaders, Signature',
  unknown: 'The security token included in the request is invalid.',
  expired: 'The security token included in the request is expired',
  wrong:
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
} as const

/**
 * Finds the credentials that signed the request.
 * Source: IAM, "Create a signed AWS API request".
 *
 * @throws Refusal with the code that STS has for what is wrong
 */
export function signerOf(request: SignedRequest, sessions: Sessions, clock: Clock): Session {
  const header = request.headers.authorization
  if (header === undefined) throw new Refusal('MissingAuthenticationToken', MESSAGES.missing)
  const authorization = parseAuthorization(header)
  const session = sessions.find(authorization.accessKeyId)
  const token = request.headers['x-amz-security-token']
  if (session === undefined || typeof token !== 'string' || !isEqual(token, session.sessionToken)) {
    throw new Refusal('InvalidClientTokenId', MESSAGES.unknown)
  }
  if (session.expiresAtMs <= clock.now()) throw new Refusal('ExpiredToken', MESSAGES.expired)
  assertFresh(request, authorization.scope, clock)
  const expected = signatureOf(request, authorization, session.secretAccessKey)
  if (!isEqual(expected, authorization.signature)) {
    throw new Refusal('SignatureDoesNotMatch', MESSAGES.wrong)
  }
  return session
}

function parseAuthorization(header: string): Authorization {
  const [, accessKeyId, scope, signedHeaders, signature] =
    /^AWS4-HMAC-SHA256 Credential=(\w{16,128})\/(\d{8}\/[\w-]+\/sts\/aws4_request), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    ) ?? []
  if (!accessKeyId || !scope || !signedHeaders || !signature) {
    throw new Refusal('IncompleteSignature', MESSAGES.incomplete)
  }
  const names = signedHeaders.split(';')
  const unsigned = MUST_BE_SIGNED.find((name) => !names.includes(name))
  if (unsigned !== undefined) {
    throw new Refusal('SignatureDoesNotMatch', `header ${unsigned} must be signed`)
  }
  return { accessKeyId, scope, signedHeaders: names, signature }
}

/** The time of signing is near enough and on the day that the signing key is for. */
function assertFresh(request: SignedRequest, scope: string, clock: Clock): void {
  const date = signingDate(request)
  const signedAtMs = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  )
  if (Math.abs(signedAtMs - clock.now()) <= MAX_SKEW_MS && scope.startsWith(date.slice(0, 8))) {
    return
  }
  const word = signedAtMs < clock.now() ? 'expired' : 'not yet current'
  const now = new Date(clock.now()).toISOString()
  throw new Refusal('SignatureDoesNotMatch', `Signature ${word}: ${date}, it is ${now}`)
}

function signingDate(request: SignedRequest): string {
  const date = request.headers['x-amz-date']
  return typeof date === 'string' ? date : ''
}

function signatureOf(
  request: SignedRequest,
  { scope, signedHeaders }: Authorization,
  secretAccessKey: string,
): string {
  const canonicalHeaders = signedHeaders.map((name) => {
    const value = [request.headers[name] ?? ''].flat().join(',')
    return `${name}:${value.trim().replace(/ +/g, ' ')}\n`
  })
  const canonicalRequest = [
    'POST',
    '/',
    '',
    canonicalHeaders.join(''),
    signedHeaders.join(';'),
    sha256(request.body),
  ].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', signingDate(request), scope, sha256(canonicalRequest)]
  const key = scope
    .split('/')
    .reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`)
  return hmac(key, toSign.join('\n')).toString('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(sha256(one)), Buffer.from(sha256(other))]
  return timingSafeEqual(a, b)
}
