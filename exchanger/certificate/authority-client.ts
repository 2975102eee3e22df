import { request, type RequestOptions } from 'node:https'
import {
  AUTHORITY,
  CERTIFICATE_LIMITS,
  type CertificateRequest,
} from '../../contract/certificates.ts'
import { codeOf, NocredsError } from '../../shared/base/errors.ts'

/** Limit for connection, request and response together; below the time after which the sidecar kills the child. */
export const RESPONSE_MS = 10_000

/** A response of the authority with any status. */
export interface AuthorityResponse {
  readonly status: number
  readonly body: string
}

/** There was no response: `code` is Node's (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), `Timeout` or `AnswerTooLarge`. */
export class NoResponseError extends NocredsError {}

/** The authority's address, and the CAs that verify it. */
export interface AuthorityEndpoint {
  /** `https://host[:port]`. */
  readonly authorityUrl: string
  /** PEM; only these CAs are trusted, not those of Node or the image. */
  readonly trustBundle: string
}

export interface CertificateCall extends AuthorityEndpoint {
  readonly jwt: string
  readonly body: CertificateRequest
}

/**
 * Sends one `POST` to the authority, without retries: the sidecar does that. The token is sent only to a server
 * that is verified by the trust bundle, wherever DNS points.
 *
 * @param signal aborts it when the time is up
 * @throws NoResponseError
 */
export function sendCertificateRequest(
  { jwt, body, ...endpoint }: CertificateCall,
  signal: AbortSignal,
): Promise<AuthorityResponse> {
  const text = JSON.stringify(body)
  const headers = {
    authorization: `Bearer ${jwt}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  }
  return call(AUTHORITY.path, endpoint, { method: 'POST', headers, signal }, text)
}

/** Sends one `GET` for the trust bundle, without a token. @throws NoResponseError */
export function sendTrustBundleRequest(
  endpoint: AuthorityEndpoint,
  signal: AbortSignal,
): Promise<AuthorityResponse> {
  return call(AUTHORITY.trustBundlePath, endpoint, { method: 'GET', signal })
}

type CallOptions = Required<Pick<RequestOptions, 'method'>> & {
  readonly headers?: Readonly<Record<string, string | number>>
  readonly signal: AbortSignal
}

function call(
  path: string,
  { authorityUrl, trustBundle }: AuthorityEndpoint,
  options: CallOptions,
  text?: string,
): Promise<AuthorityResponse> {
  const trust = { ca: trustBundle, minVersion: 'TLSv1.2', rejectUnauthorized: true } as const
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(options.signal.aborted ? timeout() : noResponse(error))
    }
    const to = new URL(path, authorityUrl)
    const outgoing = request(to, { ...options, ...trust, agent: false }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', fail)
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= CERTIFICATE_LIMITS.answerBytes) chunks.push(chunk)
        else outgoing.destroy(tooLarge())
      })
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
      })
    })
    outgoing.on('error', fail)
    outgoing.end(text)
  })
}

function tooLarge(): NoResponseError {
  const text = `the response has more than ${CERTIFICATE_LIMITS.answerBytes} bytes`
  return new NoResponseError('AnswerTooLarge', text)
}

function timeout(): NoResponseError {
  return new NoResponseError('Timeout', `no response in ${RESPONSE_MS / 1000} s`)
}

function noResponse(error: unknown): NoResponseError {
  if (error instanceof NoResponseError) return error
  const code = codeOf(error) ?? 'NetworkError'
  return new NoResponseError(code, error instanceof Error ? error.message : code)
}
