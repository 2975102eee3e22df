/** Test double: the authority of a cluster, with real certificates and faults at will. Never shipped. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import {
  AUTHORITY,
  CERTIFICATE_LIMITS,
  spiffeId,
  type CertificateRequest,
} from '../../../contract/certificates.ts'
import { sleep, type Clock } from '../../../shared/base/clock.ts'
import { closeAtOnce, listenOnLoopback } from '../loopback-server.ts'
import { readCsr, type ReadCsr } from './csr.ts'
import { createCa, issueLeaf, newKeyPair, type Ca, type Validity } from './x509.ts'

type AuthorityFault =
  /** A refusal such as 403 name-not-permitted, or 503 not-ready. */
  | {
      readonly kind: 'refusal'
      readonly status: number
      readonly code: string
      readonly message: string
    }
  /** The connection stays open and no answer comes. */
  | { readonly kind: 'hang' }
  /** A good answer, later; the delay is the clock's time. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** 200 with a page that is no answer of the authority. */
  | { readonly kind: 'garbage' }
  /** 200 with more bytes than an answer may have. */
  | { readonly kind: 'huge' }
  /** The connection breaks once the request is there. */
  | { readonly kind: 'reset' }
  /** A certificate that is not what was asked for. */
  | { readonly kind: 'wrong'; readonly what: 'key' | 'identity' | 'names' | 'ca' | 'life' }

interface AuthorityCall {
  readonly jwt: string
  readonly status: number
  /** DNS names in the request; undefined if it could not be read. */
  readonly dnsNames: readonly string[] | undefined
  readonly durationSeconds: number | undefined
}

export interface TestAuthority {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string
  /** The root, by which it is known and which its answers hold; PEM. */
  readonly trustBundle: string
  readonly calls: readonly AuthorityCall[]
  /** How often it was asked for its trust bundle alone, with what headers. */
  readonly bundleCalls: readonly IncomingHttpHeaders[]
  /** Clients that closed the connection during the handshake, most of them because of the certificate. */
  refusedHandshakes(): number
  /** From now on its answers hold these CAs; its own certificate stays. */
  giveTrustBundle(pem: string): void
  /** From now on it is replaced by one below a new root, whose PEM is given; the answers stay. */
  useNewRoot(): string
  /** From now on; undefined ends it. */
  fault(fault: AuthorityFault | undefined): void
  /** Listens again on the same port. */
  start(): Promise<void>
  stop(): Promise<void>
}

export interface AuthorityOptions {
  readonly clock: Clock
  /** Whose tokens are good, and what for. */
  readonly namespace: string
  readonly serviceAccount: string
  readonly isGood: (jwt: string) => boolean
  /** From issue to end, instead of what is asked for. */
  readonly lifetimeSeconds?: number
  /** Where it listens; a free port where not given. */
  readonly port?: number
}

const YEAR_MS = 365 * 86_400_000

/** Starts an authority with CAs of its own on 127.0.0.1. */
export async function startAuthority(options: AuthorityOptions): Promise<TestAuthority> {
  const nowMs = options.clock.now()
  const validity = { notBeforeMs: nowMs - YEAR_MS, notAfterMs: nowMs + YEAR_MS }
  const root = createCa('test root', validity)
  let intermediate = createCa('test intermediate', validity, root)
  const stranger = createCa('test intermediate', validity, createCa('test root', validity))
  const calls: AuthorityCall[] = []
  const bundleCalls: IncomingHttpHeaders[] = []
  let trustBundle = root.certificate
  let refused = 0
  let fault: AuthorityFault | undefined
  const server = createServer(servingBelow(intermediate, validity), (request, response) => {
    void answer(request, response, {
      ...options,
      intermediate: fault?.kind === 'wrong' && fault.what === 'ca' ? stranger : intermediate,
      trustBundle,
      fault,
      calls,
      bundleCalls,
    })
  })
  server.on('tlsClientError', () => (refused += 1))
  const port = await listenOnLoopback(server, options.port ?? 0)
  return {
    url: `https://127.0.0.1:${port}`,
    trustBundle: root.certificate,
    calls,
    bundleCalls,
    refusedHandshakes: () => refused,
    giveTrustBundle: (pem) => (trustBundle = pem),
    useNewRoot() {
      const next = createCa('new root', validity)
      intermediate = createCa('new intermediate', validity, next)
      server.setSecureContext(servingBelow(intermediate, validity))
      return next.certificate
    },
    fault: (one) => (fault = one),
    async start() {
      await listenOnLoopback(server, port)
    },
    stop: () => closeAtOnce(server),
  }
}

/** A certificate for 127.0.0.1, and its key. */
function servingBelow(
  issuer: Ca,
  validity: Validity,
): { readonly key: string; readonly cert: string } {
  const { publicKey, privateKey } = newKeyPair()
  const leaf = issueLeaf({ ...validity, issuer, publicKey, addresses: ['127.0.0.1'] })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return { key, cert: leaf + issuer.certificate }
}

interface Desk extends AuthorityOptions {
  readonly intermediate: Ca
  readonly trustBundle: string
  readonly fault: AuthorityFault | undefined
  readonly calls: AuthorityCall[]
  readonly bundleCalls: IncomingHttpHeaders[]
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  desk: Desk,
): Promise<void> {
  const { fault, clock, calls } = desk
  if (isForTrustBundle(request)) {
    answerTrustBundle(request, response, desk)
    return
  }
  const body = await text(request)
  const jwt = (request.headers.authorization ?? '').replace(/^Bearer /, '')
  if (fault?.kind === 'slow') await sleep(clock, fault.delayMs)
  const isRequest = request.method === 'POST' && request.url === AUTHORITY.path
  const asked = isRequest ? parse(body) : undefined
  const csr = asked === undefined ? undefined : await readCsr(asked.csr)
  const { durationSeconds } = asked ?? {}
  const isAnswered = fault !== undefined && answeredByFault(fault, response)
  if (!isAnswered) {
    const [status, content] = decide(desk, jwt, asked, csr)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(content))
  }
  calls.push({ jwt, status: response.statusCode, dnsNames: csr?.dnsNames, durationSeconds })
}

function isForTrustBundle({ method, url }: IncomingMessage): boolean {
  return method === 'GET' && url === AUTHORITY.trustBundlePath
}

function answerTrustBundle(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { fault, bundleCalls, trustBundle }: Desk,
): void {
  bundleCalls.push(headers)
  if (fault !== undefined && answeredByFault(fault, response)) return
  const isRefusal = fault?.kind === 'refusal'
  response.writeHead(isRefusal ? fault.status : 200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(isRefusal ? fault : { trustBundle }))
}

/** Status and body. */
function decide(
  desk: Desk,
  jwt: string,
  asked: CertificateRequest | undefined,
  csr: ReadCsr | undefined,
): [number, object] {
  const { fault } = desk
  if (fault?.kind === 'refusal') {
    return [fault.status, { code: fault.code, message: fault.message }]
  }
  if (asked === undefined) return [400, { code: 'request-invalid', message: 'it is no request' }]
  if (!desk.isGood(jwt)) return [401, { code: 'token-invalid', message: 'the token is not good' }]
  if (csr === undefined) return [400, { code: 'csr-invalid', message: 'it cannot be read' }]
  return [200, issue(desk, csr, asked.durationSeconds)]
}

function answeredByFault({ kind }: AuthorityFault, response: ServerResponse): boolean {
  if (kind === 'hang') return true
  if (kind === 'reset') {
    response.destroy()
    return true
  }
  if (kind !== 'garbage' && kind !== 'huge') return false
  const page = '<html><body>Please sign in to the network<br></body></html>'
  response.writeHead(200, { 'content-type': 'text/html' })
  response.end(kind === 'huge' ? ' '.repeat(CERTIFICATE_LIMITS.answerBytes + 1) : page)
  return true
}

function issue(
  { clock, namespace, serviceAccount, lifetimeSeconds, intermediate, trustBundle, fault }: Desk,
  csr: ReadCsr,
  durationSeconds: number,
): object {
  const wrong = fault?.kind === 'wrong' ? fault.what : undefined
  const notBeforeMs = clock.now() - 60_000
  const asked = notBeforeMs + durationSeconds * 1000
  const good = lifetimeSeconds === undefined ? asked : clock.now() + lifetimeSeconds * 1000
  const leaf = issueLeaf({
    issuer: intermediate,
    notBeforeMs,
    notAfterMs: wrong === 'life' ? clock.now() - 1000 : good,
    publicKey: wrong === 'key' ? newKeyPair().publicKey : csr.publicKey,
    dnsNames: wrong === 'names' ? csr.dnsNames.slice(1) : csr.dnsNames,
    uris: [spiffeId('cluster.local', wrong === 'identity' ? 'team-b' : namespace, serviceAccount)],
  })
  return { certificate: leaf + intermediate.certificate, trustBundle }
}

function parse(body: string): CertificateRequest | undefined {
  try {
    const { csr, durationSeconds } = JSON.parse(body) as Partial<CertificateRequest>
    return typeof csr === 'string' && typeof durationSeconds === 'number'
      ? { csr, durationSeconds }
      : undefined
  } catch {
    return undefined
  }
}
