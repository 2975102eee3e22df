/** Test double: raw callers of a server on loopback, each with an address of 127/8. Never shipped. */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Caller {
  readonly socket: Socket
  /** All that came back so far. */
  readonly received: string
  readonly isOpen: boolean
  send(text: string): Caller
  /** Resolves once the connection is closed, by whichever end. */
  readonly closed: Promise<unknown>
  /** Resolves once this many answers have arrived in full. */
  answers(count: number): Promise<void>
}

export interface CallOptions {
  readonly port: number
  readonly from?: string
  /** Does its handshake, and ignores who the server is. */
  readonly isTls?: boolean
}

/** Opens a connection and resolves once it stands (with TLS: after the handshake). */
export async function call(options: CallOptions): Promise<Caller> {
  const caller = begin(options)
  await once(caller.socket, options.isTls === true ? 'secureConnect' : 'connect')
  return caller
}

/** The same, without waiting. */
export function begin({ port, from = '127.0.0.1', isTls = false }: CallOptions): Caller {
  const to = { host: '127.0.0.1', port, localAddress: from }
  const socket = isTls ? connectTls({ ...to, rejectUnauthorized: false }) : connectTcp(to)
  let received = ''
  let isOpen = true
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  const closed = new Promise((resolve) => socket.on('close', resolve)).then(() => {
    isOpen = false
  })
  const caller: Caller = {
    socket,
    closed,
    get received() {
      return received
    },
    get isOpen() {
      return isOpen
    },
    send(text) {
      socket.write(text)
      return caller
    },
    async answers(count) {
      while (answersIn(received) < count && isOpen) {
        await Promise.race([once(socket, 'data'), closed])
      }
      if (answersIn(received) < count) throw new Error(`closed after: ${received}`)
    },
  }
  return caller
}

function answersIn(received: string): number {
  let [count, at] = [0, 0]
  for (;;) {
    const headerEnd = received.indexOf('\r\n\r\n', at)
    if (headerEnd < 0) return count
    const [, length = '0'] = /content-length: (\d+)/i.exec(received.slice(at, headerEnd)) ?? []
    at = headerEnd + 4 + Number(length)
    if (received.length < at) return count
    count += 1
  }
}

/** A request with a body, whole. */
export function post(body: string, path = '/'): string {
  return `${postHead(Buffer.byteLength(body), path)}${body}`
}

export function postHead(length: number, path = '/'): string {
  return `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
}

export const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
