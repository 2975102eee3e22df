import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { WEBHOOK } from '../../contract/names.ts'
import { codeOf, messageOf, NocredsError } from '../../platform/errors.ts'
import { answerReview, type AnswerDeps, type Resource } from './answer.ts'

/** A pod is at most 1.5 MiB in etcd; a review may hold the object twice. */
const MAX_BODY_BYTES = 3 * 1024 * 1024
/** The apiserver waits 5 s (timeoutSeconds of the manifest) where it does not say otherwise. */
const DEFAULT_TIMEOUT_MS = 5000
/** Our own deadline is this part of the caller's, so that the answer still arrives. */
const DEADLINE_PART = 0.8

const RESOURCES: Readonly<Record<string, Resource>> = {
  [WEBHOOK.paths.pods]: 'pods',
  [WEBHOOK.paths.namespaces]: 'namespaces',
}

/** A request that is refused before any review is read; the answer is JSON with code and message. */
class RequestError extends NocredsError<
  'ERR_NO_SUCH_PATH' | 'ERR_METHOD' | 'ERR_CONTENT_TYPE' | 'ERR_BODY_TOO_LARGE' | 'ERR_BODY_ABORTED'
> {
  readonly status: number

  constructor(status: number, code: RequestError['code'], message: string) {
    super(code, message)
    this.status = status
  }
}

/** What the server proves itself with, and, where `ca` is set, what callers must prove themselves with. */
export type ServerTls = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>

/** TLS 1.2 or 1.3. */
export const OLDEST_TLS = { minVersion: 'TLSv1.2' } as const

/**
 * The admission server: `node:https` without a framework, because every pod creation of the cluster
 * waits for it. Certificates are swapped with `setSecureContext`, which leaves open connections alone.
 */
export function createAdmissionServer(tls: ServerTls, deps: AnswerDeps): Server {
  const requestCert = tls.ca !== undefined // a caller without a good one is refused in the handshake
  const options = { ...tls, ...OLDEST_TLS, requestCert, rejectUnauthorized: true }
  const server = createServer(options, createAdmissionListener(deps))
  server.headersTimeout = 5000
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 120_000 // longer than the apiserver keeps idle connections
  return server
}

/** The listener alone, for a server of any kind. Never throws, never leaves a request unanswered. */
export function createAdmissionListener(deps: AnswerDeps): RequestListener {
  return (request, response) => {
    answer(request, deps).then(
      (text) => {
        // After all that has arrived is decided: a write wakes its reader, which takes the core where
        // it can, so reviews that come together are answered sooner by writing at the end.
        setImmediate(send, response, 200, text)
      },
      (error: unknown) => {
        refuse(response, error, deps)
      },
    )
  }
}

async function answer(request: IncomingMessage, deps: AnswerDeps): Promise<string> {
  const [path = '', query] = (request.url ?? '').split('?', 2)
  const resource = Object.hasOwn(RESOURCES, path) ? RESOURCES[path] : undefined
  if (resource === undefined) {
    const known = Object.keys(RESOURCES).join(', ')
    throw new RequestError(404, 'ERR_NO_SUCH_PATH', `no such path; allowed: ${known}`)
  }
  if (request.method !== 'POST') {
    throw new RequestError(405, 'ERR_METHOD', `method is ${String(request.method)}; allowed: POST`)
  }
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new RequestError(415, 'ERR_CONTENT_TYPE', 'content-type must be application/json')
  }
  const body = await readBody(request)
  return answerReview(body, resource, deadlineMs(query), deps)
}

/** The apiserver says how long it waits, as `?timeout=5s`. */
function deadlineMs(query: string | undefined): number {
  const [, seconds] = /(?:^|&)timeout=([1-9]\d?)s(?:&|$)/.exec(query ?? '') ?? []
  const timeoutMs = seconds === undefined ? DEFAULT_TIMEOUT_MS : Number(seconds) * 1000
  return timeoutMs * DEADLINE_PART
}

function readBody(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = (): RequestError =>
    new RequestError(
      413,
      'ERR_BODY_TOO_LARGE',
      `the body is larger than ${MAX_BODY_BYTES} bytes, which is the most allowed`,
    )
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
      reject(tooLarge())
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BODY_BYTES) {
        request.pause()
        reject(tooLarge())
        return
      }
      chunks.push(chunk)
    })
    request.on('end', () => {
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks))
    })
    const aborted = (): void => {
      reject(new RequestError(400, 'ERR_BODY_ABORTED', 'the body ended early'))
    }
    request.on('aborted', aborted)
    request.on('error', aborted)
  })
}

function refuse(response: ServerResponse, error: unknown, deps: AnswerDeps): void {
  const code = codeOf(error) ?? 'ERR_INTERNAL'
  const status =
    error instanceof RequestError ? error.status : error instanceof NocredsError ? 400 : 500
  if (status === 500) deps.log.error({ error: messageOf(error) }, 'fault while answering')
  const message = status === 500 ? 'fault inside the webhook, see its log' : messageOf(error)
  if (status === 405) response.setHeader('allow', 'POST')
  // The rest of a refused body is not read, so the connection cannot be used again.
  if (status === 413) response.setHeader('connection', 'close')
  send(response, status, JSON.stringify({ code, message }))
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
