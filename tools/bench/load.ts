/**
 * The load: some keep-alive connections over TLS, each with one request under way. Written on bare
 * sockets, so that the client costs the shared cores less than the server that it measures.
 */
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

export interface LoadOptions {
  readonly port: number
  readonly caPem: string
  /** Path and query. */
  readonly path: string
  readonly body: string
  readonly durationMs: number
  readonly connections: number
}

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds from a request to the end of its answer, ascending. */
  readonly latenciesMs: readonly number[]
  /** Body of the last one. */
  readonly answer: string
}

const HEADER_END = Buffer.from('\r\n\r\n')

/**
 * Posts the body over and over.
 *
 * @throws Error on any answer but a 200 that allows, or a connection that ends early
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const sockets = await Promise.all(
    Array.from({ length: options.connections }, () => open(options)),
  )
  const request = requestOf(options)
  const latenciesMs: number[] = []
  const startedAt = performance.now()
  const endsAt = startedAt + options.durationMs
  const answers = await Promise.all(
    sockets.map((socket) => drive(socket, { request, endsAt, latenciesMs })),
  )
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of sockets) socket.end()
  latenciesMs.sort((one, other) => one - other)
  const requests = latenciesMs.length
  return { requests, perSecond: requests / seconds, latenciesMs, answer: answers[0] ?? '' }
}

async function open({ port, caPem }: LoadOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: caPem, minVersion: 'TLSv1.3' })
  socket.setNoDelay(true)
  await once(socket, 'secureConnect')
  return socket
}

function requestOf({ path, body }: LoadOptions): Buffer {
  const headers = [
    `POST ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    'accept: application/json, */*',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${headers.join('\r\n')}\r\n\r\n${body}`)
}

interface Drive {
  readonly request: Buffer
  readonly endsAt: number
  readonly latenciesMs: number[]
}

/** One connection: a request, its answer, the next request, until the time is over; the last body. */
function drive(socket: TLSSocket, { request, endsAt, latenciesMs }: Drive): Promise<string> {
  return new Promise((resolve, reject) => {
    let sentAt = performance.now()
    let received: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const bodyAt = completeAt(received)
      if (bodyAt === undefined) return
      const now = performance.now()
      latenciesMs.push(now - sentAt)
      const answer = received
      received = Buffer.alloc(0)
      if (now < endsAt && isAllowed(answer)) {
        sentAt = now
        socket.write(request)
        return
      }
      socket.off('data', onData)
      if (isAllowed(answer)) resolve(answer.toString('utf8', bodyAt))
      else reject(new Error(`not admitted: ${answer.toString('utf8').slice(0, 600)}`))
    }
    socket.on('data', onData)
    socket.once('error', reject)
    socket.once('end', () => {
      reject(new Error('the server ended the connection'))
    })
    socket.write(request)
  })
}

/** Where the body of a complete answer starts; undefined while some of it is missing. */
function completeAt(received: Buffer): number | undefined {
  const headerEnd = received.indexOf(HEADER_END)
  if (headerEnd < 0) return undefined
  const [, length = '0'] =
    /\r\ncontent-length: (\d+)/i.exec(received.toString('latin1', 0, headerEnd)) ?? []
  const bodyAt = headerEnd + HEADER_END.length
  return received.length >= bodyAt + Number(length) ? bodyAt : undefined
}

function isAllowed(answer: Buffer): boolean {
  return answer.toString('latin1', 0, 12) === 'HTTP/1.1 200' && answer.includes('"allowed":true')
}
