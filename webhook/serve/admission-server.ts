import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { WEBHOOK } from '../../contract/names.ts'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'
import { BLOCK_BYTES, createBodies, type Bodies } from '../../shared/server/budget/bodies.ts'
import { BodyError, type Body } from '../../shared/server/budget/body.ts'
import type { ConnectionLimits, GuardDeps } from '../../shared/server/budget/connection-guard.ts'
import { guardServer } from '../../shared/server/budget/guard.ts'
import { createTickQueue } from '../../shared/server/budget/queue.ts'
import { addressOf } from '../../shared/server/budget/sockets.ts'
import { answerReview, answerTooLarge, type AnswerDeps, type Resource } from './answer.ts'
import { MAX_VALUES, memoryOfJson } from './review-cost.ts'

/**
 * An object is at most 1.5 MiB in etcd, and 3 MiB as a request. A review is longer: JSON with escapes (of `<`
 * six characters), managedFields, the former object of an update. A larger body is read to its end, up to
 * the second bound (six times 3 MiB are enough), so that the client can read the denial.
 */
const BODY = { kept: 8 * 1024 * 1024, taken: 20 * 1024 * 1024 } as const
/** The apiserver waits 5 s (timeoutSeconds of the manifest) unless it says otherwise. */
const DEFAULT_TIMEOUT_MS = 5000
/** The webhook's deadline as a part of the caller's, so that the response still arrives. */
const DEADLINE_PART = 0.8

const RESOURCES: Readonly<Record<string, Resource>> = {
  [WEBHOOK.paths.pods]: 'pods',
  [WEBHOOK.paths.namespaces]: 'namespaces',
}

/** A request that is refused before any review is read; the response is JSON with code and message. */
class RequestError extends NocredsError<'ERR_NO_SUCH_PATH' | 'ERR_METHOD' | 'ERR_CONTENT_TYPE'> {
  readonly status: number

  constructor(status: number, code: RequestError['code'], message: string) {
    super(code, message)
    this.status = status
  }
}

/** HTTP status for each reason why a body is not read. */
const STATUS_OF_BODY = {
  ERR_BODY_TOO_LARGE: 413,
  ERR_BODY_ABORTED: 400,
  ERR_BODY_OVER_BUDGET: 503,
} as const satisfies Readonly<Record<BodyError['code'], number>>

/** The server's certificate and key; if `ca` is set, clients must have a certificate of one of these CAs. */
export type ServerTls = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>

/** TLS 1.2 or 1.3. */
export const OLDEST_TLS = { minVersion: 'TLSv1.2' } as const

/** An apiserver keeps 25 connections, and opens one more for each review that comes while those are busy. */
const CONNECTIONS: ConnectionLimits = {
  unfinished: { max: 128, maxPerAddress: 64 }, // each of them makes an iteration of the event loop longer
  proven: { max: 320, maxPerAddress: 256 },
  // A quarter of a core at most.
  handshakes: { perSecond: 300, burst: 48, waiting: { max: 768, maxPerAddress: 640 } },
  deadlines: { handshakeMs: 5000, firstRequestMs: 10_000, answerMs: 20_000 },
}
/** Bytes. One address can use enough for the largest body and what it is parsed into. */
const BODIES = { max: 50 * 1024 * 1024, maxPerAddress: 46 * 1024 * 1024 } as const
const MAX_HEADER_BYTES = 8192

/**
 * The admission server: `node:https` without a framework, because every pod creation of the cluster
 * waits for it. Certificates are swapped with `setSecureContext`, which leaves open connections alone.
 */
export function createAdmissionServer(
  tls: ServerTls,
  deps: AnswerDeps,
  recordRefusal: GuardDeps['recordRefusal'],
): Server {
  const guarding = { server: 'admission', clock: deps.clock, recordRefusal }
  const options = {
    ...tls,
    ...OLDEST_TLS,
    requestCert: tls.ca !== undefined, // a client without a valid one is refused in the handshake
    rejectUnauthorized: true,
    handshakeTimeout: CONNECTIONS.deadlines.handshakeMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    pauseOnConnect: true,
    connectionsCheckingInterval: 1000, // how precisely the limits below are enforced
  }
  const server = createServer(
    options,
    createAdmissionListener(deps, createBodies(BODIES, guarding)),
  )
  server.headersTimeout = 5000
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 120_000 // longer than the apiserver keeps idle connections
  guardServer(server, CONNECTIONS, guarding)
  return server
}

/** The listener alone, for a server of any kind. Never throws, never leaves a request unanswered. */
export function createAdmissionListener(deps: AnswerDeps, bodies: Bodies): RequestListener {
  const context = { bodies, large: createTickQueue(), depsFor: dependenciesByCaller(deps) }
  return (request, response) => {
    answer(request, context).then(
      (text) => {
        // Only after all reviews that have arrived are decided: a write wakes its reader, which competes for the
        // core, so reviews that arrive together are answered sooner if they are written at the end.
        setImmediate(send, response, 200, text)
      },
      (error: unknown) => {
        refuse(response, error, deps)
      },
    )
  }
}

interface Context {
  readonly depsFor: (caller: string) => AnswerDeps
  readonly bodies: Bodies
  /** Reviews with a large body are handled one at a time. */
  readonly large: ReturnType<typeof createTickQueue>
}

async function answer(request: IncomingMessage, context: Context): Promise<string> {
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
  const deps = context.depsFor(addressOf(request.socket))
  try {
    return await answerBody(await context.bodies.read(request, BODY), { resource, query }, context)
  } catch (error) {
    if (!(error instanceof BodyError) || error.code !== 'ERR_BODY_TOO_LARGE') throw error
    const denial = answerTooLarge({ start: error.head, resource, why: error.message }, deps)
    if (denial === undefined) throw error
    return denial
  }
}

interface ReviewTarget {
  readonly resource: Resource
  readonly query: string | undefined
}

async function answerBody(
  body: Body,
  { resource, query }: ReviewTarget,
  context: Context,
): Promise<string> {
  try {
    const isLarge = body.size > BLOCK_BYTES
    if (isLarge) await waitForLarge(body.address, context)
    const bytes = body.take()
    if (isLarge) charge(body, bytes)
    // A small one is answered at once; if it waits for the apiserver, what it was parsed into stays in memory.
    const beforeWaiting = isLarge ? undefined : charge.bind(undefined, body, bytes)
    const review = { body: bytes, resource, deadlineMs: deadlineMs(query), beforeWaiting }
    return await answerReview(review, context.depsFor(body.address))
  } finally {
    body.release()
  }
}

/** Consecutive reviews mostly come from the same apiserver. */
function dependenciesByCaller(deps: AnswerDeps): (caller: string) => AnswerDeps {
  let last = { caller: '', deps }
  return (caller) => {
    if (last.caller !== caller) {
      const cluster = deps.cluster.askedBy?.(caller) ?? deps.cluster
      last = { caller, deps: { ...deps, cluster } }
    }
    return last.deps
  }
}

/** Charges for the memory of the parsed review. @throws BodyError */
function charge(body: Body, bytes: Buffer): void {
  const memory = memoryOfJson(bytes)
  if (memory === undefined) {
    const why = `it holds more than ${MAX_VALUES} values, the maximum`
    throw new BodyError('ERR_BODY_TOO_LARGE', why, bytes.toString('utf8', 0, 1024))
  }
  body.charge(memory)
}

/** The apiserver says how long it waits, as `?timeout=5s`. */
function deadlineMs(query: string | undefined): number {
  const [, seconds] = /(?:^|&)timeout=([1-9]\d?)s(?:&|$)/.exec(query ?? '') ?? []
  const timeoutMs = seconds === undefined ? DEFAULT_TIMEOUT_MS : Number(seconds) * 1000
  return timeoutMs * DEADLINE_PART
}

/** Complete smaller reviews go before larger ones, which take up to 50 ms each. */
function waitForLarge(address: string, { large }: Context): Promise<void> {
  return new Promise((resolve) => {
    large.add({ address, begin: resolve })
  })
}

function refuse(response: ServerResponse, error: unknown, deps: AnswerDeps): void {
  const code = codeOf(error) ?? 'ERR_INTERNAL'
  const status = statusOf(error)
  if (status === 500) deps.log.error({ error: messageOf(error) }, 'answering failed')
  const message = status === 500 ? 'internal error of the webhook, see its log' : messageOf(error)
  if (status === 405) response.setHeader('allow', 'POST')
  // The rest of a refused body is not read, so the connection cannot be reused.
  if (status === 413 || status === 503) response.setHeader('connection', 'close')
  send(response, status, JSON.stringify({ code, message }))
}

function statusOf(error: unknown): number {
  if (error instanceof RequestError) return error.status
  if (error instanceof BodyError) return STATUS_OF_BODY[error.code]
  return error instanceof NocredsError ? 400 : 500
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
