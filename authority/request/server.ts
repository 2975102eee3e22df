import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import {
  AUTHORITY,
  CERTIFICATE_LIMITS,
  type CertificateRefusal,
  type IssuedCertificate,
} from '../../contract/certificates.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Identity } from '../identity/identity.ts'
import { issue, noteIssued, noteRefused, type IssueDeps, type IssueRequest } from '../issue.ts'
import { Refusal } from '../refusal.ts'
import { readBody, readToken } from './body.ts'
import { csrFromPem, readCsr } from './csr.ts'

export interface ServerDeps extends IssueDeps {
  /** Caps what is issued. */
  readonly maxLifetimeSeconds: number
}

/** Requests that are worked on at once; pods ask again after a refusal. */
const MOST_AT_ONCE = 64
const MOST_CONNECTIONS = 2048

/** The door of the exchangers: HTTPS with the authority's own certificate, TLS 1.2 or 1.3. */
export function createAuthorityServer(
  certificate: { readonly certPem: string; readonly keyPem: string },
  deps: ServerDeps,
): Server {
  const server = createServer(
    {
      cert: certificate.certPem,
      key: certificate.keyPem,
      minVersion: 'TLSv1.2',
      handshakeTimeout: 5000,
      connectionsCheckingInterval: 2000, // how closely the limits below are kept
    },
    createAuthorityListener(deps),
  )
  server.headersTimeout = 5000
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 5000 // a pod asks once in half an hour
  server.maxConnections = MOST_CONNECTIONS
  return server
}

/** Never throws, never leaves a request unanswered. */
function createAuthorityListener(deps: ServerDeps): RequestListener {
  const desk: Desk = { underWay: 0 }
  return (request, response) => {
    answer(request, deps, desk).then(
      (issued) => {
        send(response, 200, issued)
      },
      (error: unknown) => {
        refuse(response, error)
      },
    )
  }
}

/** Counts requests from the whole body to the answer, so that slow senders hold nobody up. */
interface Desk {
  underWay: number
}

async function atDesk<T>(desk: Desk, work: () => Promise<T>): Promise<T> {
  if (desk.underWay >= MOST_AT_ONCE) {
    throw new Refusal('not-ready', `${MOST_AT_ONCE} requests are under way; ask again`)
  }
  desk.underWay += 1
  try {
    return await work()
  } finally {
    desk.underWay -= 1
  }
}

async function answer(
  request: IncomingMessage,
  deps: ServerDeps,
  desk: Desk,
): Promise<IssuedCertificate> {
  const { clock, metrics } = deps
  let identity: Identity | undefined
  let startedAt = clock.monotonic()
  try {
    requireRoute(request)
    const token = readToken(request.headers.authorization)
    const text = await readText(request)
    startedAt = clock.monotonic()
    const { csr, durationSeconds } = readBody(text)
    const bytes = csrFromPem(csr)
    return await atDesk(desk, async () => {
      identity = await deps.cluster.identify(token)
      const asked: IssueRequest = {
        door: 'authority',
        identity,
        readCsr: () => readCsr(bytes),
        lifetimeSeconds: Math.min(durationSeconds, deps.maxLifetimeSeconds),
      }
      const issued = await issue(asked, deps)
      noteIssued(asked, issued, deps)
      return { certificate: issued.chainPem, trustBundle: issued.bundlePem }
    })
  } catch (error) {
    noteRefused('authority', identity, error, deps)
    throw error
  } finally {
    metrics.observe('authority', (clock.monotonic() - startedAt) / 1000)
  }
}

function requireRoute({ url, method, headers }: IncomingMessage): void {
  if (url !== AUTHORITY.path || method !== 'POST') {
    throw new Refusal('request-invalid', `allowed: POST ${AUTHORITY.path}`)
  }
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new Refusal('request-invalid', 'content-type must be application/json')
  }
}

function readText(request: IncomingMessage): Promise<string> {
  const most = CERTIFICATE_LIMITS.requestBytes
  const tooLarge = (): Refusal =>
    new Refusal('too-large', `the body is larger than ${most} bytes, which is the most allowed`)
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > most) {
      reject(tooLarge())
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    const take = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= most) {
        chunks.push(chunk)
        return
      }
      request.off('data', take).resume()
      reject(tooLarge())
    }
    request.on('data', take)
    request.on('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'))
    })
    const aborted = (): void => {
      reject(new Refusal('request-invalid', 'the body ended early'))
    }
    request.on('aborted', aborted)
    request.on('error', aborted)
  })
}

function refuse(response: ServerResponse, error: unknown): void {
  const isRefusal = error instanceof Refusal
  const refusal: CertificateRefusal = isRefusal
    ? { code: error.code, message: messageOf(error) }
    : { code: 'fault', message: 'fault inside the authority, see its log' }
  // One who is still sending would not see the answer if the connection were closed: the rest is thrown away as
  // it comes, for as long as any request may take.
  if (!isRefusal || error.code !== 'too-large') response.setHeader('connection', 'close')
  send(response, isRefusal ? error.status : 500, refusal)
}

function send(
  response: ServerResponse,
  status: number,
  body: IssuedCertificate | CertificateRefusal,
): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
