/** Test double: a stranger who sends what costs a server the most. Never shipped. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** What the connections of a flood do. */
export type FloodKind =
  /** Nothing, below TLS. */
  | 'idle-tcp'
  /** A handshake, then nothing. */
  | 'idle-tls'
  /** Half of a header of 7 KiB. */
  | 'half-header'
  /** Most of the largest body, and never its end. */
  | 'unfinished-body'
  /** The same in many small parts. */
  | 'body-in-crumbs'
  /** A whole body that becomes as much as possible once it is parsed. */
  | 'costly-json'
  /** Requests, and never a look at their answers. */
  | 'unread-answers'

export interface FloodOptions {
  readonly port: number
  readonly kind: FloodKind
  /** Open at once; each that ends is replaced. */
  readonly connections: number
  /** Of 127/8: the stranger's address. */
  readonly from: string
  /** Of plain HTTP. */
  readonly isPlain?: boolean
  readonly path?: string
}

/** What a flood has done so far. */
export interface FloodReport {
  /** Connections that were opened, those that were replaced too. */
  readonly opened: number
  readonly bytesSent: number
}

interface Flood {
  report(): FloodReport
  stop(): void
}

const AGAIN_MS = 100
/** Of the webhook. */
const LARGEST = 8 * 1024 * 1024 - 10
/** As many values as are read, and none more. */
const MAX_VALUES = 399_000
const ALMOST_ALL = Buffer.alloc(LARGEST - 1000, ' ')
const CRUMB = Buffer.from(' ')
const COSTLY = Buffer.from(
  `[${'{},'.repeat(MAX_VALUES / 2)}"${'x'.repeat(LARGEST - 1.5 * MAX_VALUES - 10)}"]`,
)

/** Begins at once and runs until it is stopped. */
export function flood(options: FloodOptions): Flood {
  const sockets = new Set<Socket>()
  const counts = { opened: 0, bytesSent: 0 }
  let isStopped = false
  const open = (): void => {
    if (isStopped) return
    counts.opened += 1
    const to = { host: '127.0.0.1', port: options.port, localAddress: options.from }
    const isTls = options.isPlain !== true && options.kind !== 'idle-tcp'
    const socket = isTls ? connectTls({ ...to, rejectUnauthorized: false }) : connectTcp(to)
    sockets.add(socket)
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      attack(socket, options)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      counts.bytesSent += socket.bytesWritten
      sockets.delete(socket)
      setTimeout(open, AGAIN_MS)
    })
    if (options.kind !== 'unread-answers') socket.resume()
  }
  for (let index = 0; index < options.connections; index += 1) open()
  return {
    report() {
      const ofOpen = [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
      return { opened: counts.opened, bytesSent: counts.bytesSent + ofOpen }
    },
    stop() {
      isStopped = true
      for (const socket of sockets) socket.destroy()
    },
  }
}

function attack(socket: Socket, { kind, path = '/mutate/pods' }: FloodOptions): void {
  const post = (length: number): string =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
  switch (kind) {
    case 'idle-tcp':
    case 'idle-tls':
      return
    case 'half-header':
      socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(7000)}`)
      return
    case 'unfinished-body':
      socket.write(post(LARGEST))
      socket.write(ALMOST_ALL)
      return
    case 'body-in-crumbs':
      socket.setNoDelay(true)
      socket.write(post(LARGEST))
      crumble(socket)
      return
    case 'costly-json':
      socket.write(post(COSTLY.length))
      socket.write(COSTLY)
      return
    case 'unread-answers':
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(1000))
  }
}

function crumble(socket: Socket): void {
  if (socket.destroyed) return
  for (let crumbs = 0; crumbs < 20; crumbs += 1) socket.write(CRUMB)
  setTimeout(crumble, 5, socket)
}
