/**
 * A stranger that floods: holds connections of several kinds open to several servers until its time is over, prints
 * what it did as one line of JSON, and ends. A connection that the server closes is opened again. It is bounded: by
 * `connections` of each stream, by `opensPerSecond` in all, and by `seconds`.
 *
 * Environment: `FLOOD`, a `Flood` as JSON.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** What a connection does once it is open: an unfinished body, half-sent headers, TLS and nothing, TCP and nothing. */
type Kind = 'body' | 'headers' | 'tls' | 'tcp'

interface Stream {
  /** Name in the output. */
  readonly name: string
  readonly kind: Kind
  readonly host: string
  readonly port: number
  /** False for a server of plain HTTP. */
  readonly isTls: boolean
  /** Path of the request, for `body` and `headers`. */
  readonly path: string
  readonly connections: number
}

interface Flood {
  readonly seconds: number
  readonly opensPerSecond: number
  /** Length that a body is announced with; all of it but its last kilobyte is sent. */
  readonly bodyBytes: number
  readonly streams: readonly Stream[]
}

const TICK_MS = 50
const CONNECT_MS = 10_000
const CHUNK = Buffer.alloc(65_536, ' ')
const UNSENT_BYTES = 1000
/** Less than the servers take, 8 KiB, or they would answer. */
const HEADER = `X-Half: ${'x'.repeat(7000)}`

const { seconds, opensPerSecond, bodyBytes, streams } = JSON.parse(
  process.env['FLOOD'] ?? '{}',
) as Flood
const counted = streams.map((stream) => ({
  stream,
  count: { opened: 0, sentBytes: 0 },
}))
type Counted = (typeof counted)[number]
const sockets = new Set<Socket>()
/**
 * Connections that are to be opened. One of each stream first, so each way in is tried however slow the machine is;
 * then bodies before the others, as they take the most, and within a kind the streams in turn.
 */
const waiting: Counted[] = [...counted]
const most = Math.max(...streams.map(({ connections }) => connections))
for (const kind of ['body', 'headers', 'tls', 'tcp'] satisfies Kind[])
  for (let nth = 1; nth < most; nth += 1)
    waiting.push(
      ...counted.filter(({ stream }) => stream.kind === kind && nth < stream.connections),
    )

function open(one: Counted): void {
  const { stream, count } = one
  const { host, port, isTls, kind } = stream
  const opened = (): void => {
    socket.setTimeout(0)
    count.opened += 1
    if (kind === 'body' || kind === 'headers') begin(socket, stream, count)
  }
  const socket =
    isTls && kind !== 'tcp'
      ? connectTls({ host, port, rejectUnauthorized: false }, opened)
      : connectTcp({ host, port }, opened)
  sockets.add(socket)
  socket.setTimeout(CONNECT_MS, () => socket.destroy())
  socket.on('error', () => undefined) // a refusal is what a flood meets
  socket.on('close', () => {
    sockets.delete(socket)
    waiting.push(one)
  })
  socket.resume() // an answer is thrown away
}

function begin(socket: Socket, { kind, path }: Stream, count: Counted['count']): void {
  const start = `POST ${path} HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n`
  if (kind === 'headers') {
    socket.write(start + HEADER)
    count.sentBytes += HEADER.length
    return
  }
  socket.write(`${start}Content-Length: ${bodyBytes}\r\n\r\n`)
  let left = bodyBytes - UNSENT_BYTES
  // No faster than the server reads, so the memory that fills is the server's.
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      const size = Math.min(left, CHUNK.length)
      left -= size
      count.sentBytes += size
      if (!socket.write(CHUNK.subarray(0, size))) return
    }
  }
  socket.on('drain', more)
  more()
}

console.log('begins')
let allowed = 0
let lookedMs = performance.now()
const opening = setInterval(() => {
  const nowMs = performance.now()
  allowed = Math.min(allowed + (opensPerSecond * (nowMs - lookedMs)) / 1000, opensPerSecond)
  lookedMs = nowMs
  for (; allowed >= 1; allowed -= 1) {
    const next = waiting.shift()
    if (next === undefined) return
    open(next)
  }
}, TICK_MS)

setTimeout(() => {
  clearInterval(opening)
  const said = counted.map(({ stream, count }) => [stream.name, count])
  console.log(JSON.stringify(Object.fromEntries(said)))
  for (const socket of sockets) socket.destroy()
  setTimeout(() => process.exit(0), 500) // what was said is written
}, seconds * 1000)
