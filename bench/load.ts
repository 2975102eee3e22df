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
  await Promise.all(sockets.map((socket) => drive(socket, { request, endsAt, latenciesMs })))
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of sockets) socket.end()
  latenciesMs.sort((one, other) => one - other)
  return { requests: latenciesMs.length, perSecond: latenciesMs.length / seconds, latenciesMs }
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

/** One connection: a request, its answer, the next request, until the time is over. */
function drive(socket: TLSSocket, { request, endsAt, latenciesMs }: Drive): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAt = performance.now()
    let received: Buffer = Buffer.alloc(0)
    const finish = (error?: Error): void => {
      socket.off('data', onData)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const length = answerLength(received)
      if (length === undefined || received.length < length) return
      const now = performance.now()
      latenciesMs.push(now - sentAt)
      if (!isAllowed(received)) {
        finish(new Error(`not admitted: ${received.toString('utf8').slice(0, 600)}`))
        return
      }
      received = Buffer.alloc(0)
      if (now >= endsAt) {
        finish()
        return
      }
      sentAt = now
      socket.write(request)
    }
    socket.on('data', onData)
    socket.once('error', finish)
    socket.once('end', () => {
      finish(new Error('the server ended the connection'))
    })
    socket.write(request)
  })
}

/** Bytes of headers and body; undefined while the headers are not complete. */
function answerLength(received: Buffer): number | undefined {
  const headerEnd = received.indexOf(HEADER_END)
  if (headerEnd < 0) return undefined
  const headers = received.toString('latin1', 0, headerEnd)
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(headers) ?? []
  if (length === undefined) throw new Error(`an answer without content-length: ${headers}`)
  return headerEnd + HEADER_END.length + Number(length)
}

function isAllowed(answer: Buffer): boolean {
  return answer.toString('latin1', 0, 12) === 'HTTP/1.1 200' && answer.includes('"allowed":true')
}
