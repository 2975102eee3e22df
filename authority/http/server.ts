import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import {
  AUTHORITY,
  CERTIFICATE_LIMITS,
  type CertificateRefusal,
  type IssuedCertificate,
  type TrustBundleAnswer,
} from '../../contract/certificates.ts'
import { sleep } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { createBodies, type Bodies } from '../../shared/server/budget/bodies.ts'
import { BodyError } from '../../shared/server/budget/body.ts'
import type { ConnectionLimits } from '../../shared/server/budget/connection-guard.ts'
import {
  BusyError,
  createFairSlots,
  type FairSlots,
  type SlotLimits,
} from '../../shared/server/budget/fair-slots.ts'
import { guardServer } from '../../shared/server/budget/guard.ts'
import { quietLog } from '../../shared/server/budget/quiet-log.ts'
import type { RecordRefusal } from '../../shared/server/budget/refusals.ts'
import { addressOf } from '../../shared/server/budget/sockets.ts'
import { csrFromPem, readCsr } from '../csr.ts'
import type { Identity } from '../identity/identity.ts'
import { issue, recordIssued, recordRefused, type IssueDeps, type IssueRequest } from '../issue.ts'
import { Refusal, type Reason } from '../refusal.ts'
import { readBody, readToken } from './body.ts'
import { requirePlausible } from './precheck.ts'

export interface ServerDeps extends IssueDeps {
  /** Upper limit for issued certificates. */
  readonly maxLifetimeSeconds: number
}

/**
 * Limits on concurrent requests, in total and from one address; each request makes three calls to the apiserver. Pods
 * of a node may share an address, so further requests wait for a while before they are told to retry.
 */
const CONCURRENCY: SlotLimits = {
  max: 64,
  maxPerCaller: 8,
  maxWaiting: 256,
  maxWaitingPerCaller: 128,
  maxWaitMs: 5000,
}
/** A request whose token the apiserver rejects occupies its slot for this long. */
const REJECTED_TOKEN_MS = 250

/** There are many pods: each opens its own connection about every half hour. */
const CONNECTIONS: ConnectionLimits = {
  unfinished: { max: 128, maxPerAddress: 64 }, // each one makes an iteration of the event loop longer
  proven: { max: 384, maxPerAddress: 192 }, // more than run and wait, so that none of those is disconnected
  // A quarter of a core at most.
  handshakes: { perSecond: 300, burst: 48, waiting: { max: 768, maxPerAddress: 512 } },
  deadlines: { handshakeMs: 5000, firstRequestMs: 10_000, answerMs: 20_000 },
}
/** In bytes; a request takes at most one block. */
const BODIES = { max: 16 * 1024 * 1024, maxPerAddress: 8 * 1024 * 1024 } as const

/** The server for exchangers: HTTPS with the authority's own certificate, TLS 1.2 or 1.3. */
export function createAuthorityServer(
  certificate: { readonly certPem: string; readonly keyPem: string },
  deps: ServerDeps,
  recordRefusal: RecordRefusal,
): Server {
  const guardDeps = { server: 'certificates', clock: deps.clock, recordRefusal }
  const limits = {
    bodies: createBodies(BODIES, guardDeps),
    slots: createFairSlots(CONCURRENCY, deps.clock),
    unidentifiedLog: quietLog(deps.log, deps.clock),
  }
  const server = createServer(
    {
      cert: certificate.certPem,
      key: certificate.keyPem,
      minVersion: 'TLSv1.2',
      handshakeTimeout: CONNECTIONS.deadlines.handshakeMs,
      pauseOnConnect: true,
      connectionsCheckingInterval: 1000, // how precisely the timeouts below are enforced
    },
    createAuthorityListener(deps, limits),
  )
  server.headersTimeout = 5000
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 5000 // a pod sends a request about every half hour
  guardServer(server, CONNECTIONS, guardDeps)
  return server
}

/** Never throws, and responds to every request. */
function createAuthorityListener(deps: ServerDeps, limits: RequestLimits): RequestListener {
  return (request, response) => {
    const answered = isForTrustBundle(request) ? trustBundle(deps) : answer(request, deps, limits)
    answered.then(
      (body) => {
        send(response, 200, body)
      },
      (error: unknown) => {
        refuse(response, error)
      },
    )
  }
}

function isForTrustBundle({ url, method }: IncomingMessage): boolean {
  return url === AUTHORITY.trustBundlePath && method === 'GET'
}

/** Public and served from memory, so it costs no more than the connection, which is limited. @throws Refusal */
function trustBundle({ signer }: ServerDeps): Promise<TrustBundleAnswer> {
  const trustBundle = signer.bundlePem()
  if (trustBundle !== undefined) return Promise.resolve({ trustBundle })
  return Promise.reject(new Refusal('not-ready', 'the authority has no CA yet'))
}

/** A slot is taken once the body is complete, so that slow senders do not occupy one. */
interface RequestLimits {
  readonly bodies: Bodies
  readonly slots: FairSlots
  /** Rate-limited, for refusals of clients that the apiserver has not identified. */
  readonly unidentifiedLog: Logger
}

/** @throws Refusal, also if there are too many requests */
async function inSlot<T>(
  { slots }: RequestLimits,
  caller: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await slots.run(caller, work)
  } catch (error) {
    if (!(error instanceof BusyError)) throw error
    throw new Refusal('not-ready', `too many requests (${error.message}); retry later`)
  }
}

/**
 * Resolves the token to a workload. A token that the apiserver rejects occupies its slot for a while, so an
 * address that sends such tokens has few of them reviewed, and others do not wait for it.
 */
async function identify(token: string, { cluster, clock }: ServerDeps): Promise<Identity> {
  try {
    return await cluster.identify(token)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'token-invalid')
      await sleep(clock, REJECTED_TOKEN_MS)
    throw error
  }
}

async function answer(
  request: IncomingMessage,
  deps: ServerDeps,
  limits: RequestLimits,
): Promise<IssuedCertificate> {
  const { clock, metrics } = deps
  let identity: Identity | undefined
  let startedAt = clock.monotonic()
  try {
    requireRoute(request)
    const token = readToken(request.headers.authorization)
    requirePlausible(token, clock.now())
    const text = await readText(request, limits.bodies)
    startedAt = clock.monotonic()
    const { csr, durationSeconds } = readBody(text)
    const bytes = csrFromPem(csr)
    return await inSlot(limits, addressOf(request.socket), async () => {
      identity = await identify(token, deps)
      const asked: IssueRequest = {
        source: 'authority',
        identity,
        readCsr: () => readCsr(bytes),
        lifetimeSeconds: Math.min(durationSeconds, deps.maxLifetimeSeconds),
      }
      const issued = await issue(asked, deps)
      recordIssued(asked, issued, deps)
      return { certificate: issued.chainPem, trustBundle: issued.bundlePem }
    })
  } catch (error) {
    const log = identity === undefined ? limits.unidentifiedLog : deps.log
    recordRefused('authority', identity, error, { metrics, log })
    throw error
  } finally {
    metrics.observe('authority', (clock.monotonic() - startedAt) / 1000)
  }
}

function requireRoute({ url, method, headers }: IncomingMessage): void {
  if (url !== AUTHORITY.path || method !== 'POST') {
    const allowed = `POST ${AUTHORITY.path}, GET ${AUTHORITY.trustBundlePath}`
    throw new Refusal('request-invalid', `allowed: ${allowed}`)
  }
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new Refusal('request-invalid', 'content-type must be application/json')
  }
}

/** @throws Refusal */
async function readText(request: IncomingMessage, bodies: Bodies): Promise<string> {
  try {
    const body = await bodies.read(request, { kept: CERTIFICATE_LIMITS.requestBytes })
    const text = body.take().toString('utf8')
    body.release() // the rest is limited by the slots
    return text
  } catch (error) {
    if (!(error instanceof BodyError)) throw error
    throw new Refusal(REFUSAL_OF_BODY[error.code], error.message)
  }
}

const REFUSAL_OF_BODY = {
  ERR_BODY_TOO_LARGE: 'too-large',
  ERR_BODY_ABORTED: 'request-invalid',
  ERR_BODY_OVER_BUDGET: 'not-ready',
} as const satisfies Readonly<Record<BodyError['code'], Reason>>

function refuse(response: ServerResponse, error: unknown): void {
  const isRefusal = error instanceof Refusal
  const refusal: CertificateRefusal = isRefusal
    ? { code: error.code, message: messageOf(error) }
    : { code: 'fault', message: 'fault inside the authority, see its log' }
  // A client that is still sending would not see the response if the connection were closed: the rest of the body
  // is discarded, for as long as any request may take.
  if (!isRefusal || error.code !== 'too-large') response.setHeader('connection', 'close')
  send(response, isRefusal ? error.status : 500, refusal)
}

function send(
  response: ServerResponse,
  status: number,
  body: IssuedCertificate | TrustBundleAnswer | CertificateRefusal,
): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
