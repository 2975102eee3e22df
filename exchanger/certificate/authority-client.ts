import { request, type RequestOptions } from 'node:https'
import {
  AUTHORITY,
  CERTIFICATE_LIMITS,
  type CertificateRequest,
} from '../../contract/certificates.ts'
import { codeOf, NocredsError } from '../../shared/base/errors.ts'

/** For connection, request and answer together; below the time after which the resident process ends it. */
export const ANSWER_MS = 10_000

/** What the authority said, whatever its status. */
export interface Answer {
  readonly status: number
  readonly body: string
}

/** No answer: `code` is Node's (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), `Timeout` or `AnswerTooLarge`. */
export class NoAnswerError extends NocredsError {}

/** Which authority is asked, and how it proves that it is the one. */
export interface Whom {
  /** `https://host[:port]`. */
  readonly authorityUrl: string
  /** PEM; these CAs alone are trusted, and none of Node or the image. */
  readonly trustBundle: string
}

export interface AskOptions extends Whom {
  readonly jwt: string
  readonly body: CertificateRequest
}

/**
 * One `POST` to the authority, not repeated: the resident process does that. The token goes to a server that
 * has proved itself by the trust bundle, and to no other, wherever DNS leads.
 *
 * @param signal ends it: the time is up
 * @throws NoAnswerError
 */
export function ask({ jwt, body, ...whom }: AskOptions, signal: AbortSignal): Promise<Answer> {
  const text = JSON.stringify(body)
  const headers = {
    authorization: `Bearer ${jwt}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  }
  return call(AUTHORITY.path, whom, { method: 'POST', headers, signal }, text)
}

/** One `GET` of the trust bundle, without a token. @throws NoAnswerError */
export function askForTrustBundle(whom: Whom, signal: AbortSignal): Promise<Answer> {
  return call(AUTHORITY.trustBundlePath, whom, { method: 'GET', signal })
}

type CallOptions = Required<Pick<RequestOptions, 'method'>> & {
  readonly headers?: Readonly<Record<string, string | number>>
  readonly signal: AbortSignal
}

function call(
  path: string,
  { authorityUrl, trustBundle }: Whom,
  options: CallOptions,
  text?: string,
): Promise<Answer> {
  const trust = { ca: trustBundle, minVersion: 'TLSv1.2', rejectUnauthorized: true } as const
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(options.signal.aborted ? timeout() : noAnswer(error))
    }
    const to = new URL(path, authorityUrl)
    const asked = request(to, { ...options, ...trust, agent: false }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', fail)
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= CERTIFICATE_LIMITS.answerBytes) chunks.push(chunk)
        else asked.destroy(tooLarge())
      })
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
      })
    })
    asked.on('error', fail)
    asked.end(text)
  })
}

function tooLarge(): NoAnswerError {
  const text = `the answer has more than ${CERTIFICATE_LIMITS.answerBytes} bytes`
  return new NoAnswerError('AnswerTooLarge', text)
}

function timeout(): NoAnswerError {
  return new NoAnswerError('Timeout', `no answer in ${ANSWER_MS / 1000} s`)
}

function noAnswer(error: unknown): NoAnswerError {
  if (error instanceof NoAnswerError) return error
  const code = codeOf(error) ?? 'NetworkError'
  return new NoAnswerError(code, error instanceof Error ? error.message : code)
}
