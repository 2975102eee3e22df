import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Cancel, Clock } from '../../base/clock.ts'
import { createBudget, type Budget } from './budget.ts'
import { Connection } from './connection.ts'
import type { Limits } from './eviction.ts'
import { refusePipelining } from './pipelining.ts'
import { createQueue, type Queue } from './queue.ts'
import type { RecordRefusal, RefusalReason } from './refusals.ts'
import { nameOf } from './sockets.ts'
import type { RateLimit } from './token-bucket.ts'

/** Limits on the connections of one server, in total and for each address. */
export interface ConnectionLimits {
  /** Connections without a complete request so far: no handshake, half a header, a slow body. */
  readonly unfinished: Limits
  /** Connections that have sent one. Their budget is separate, so a flood of the others does not affect it. */
  readonly proven: Limits
  /** For a TLS server: the rate of handshakes, and the number of connections that wait for one. */
  readonly handshakes?: RateLimit & { readonly waiting: Limits }
  readonly deadlines: Deadlines
}

/** In milliseconds. */
interface Deadlines {
  /** From the connection to the end of the handshake. */
  readonly handshakeMs: number
  /** From the connection to the complete first request. */
  readonly firstRequestMs: number
  /** From a complete request to the last byte of its response, which the client must read. */
  readonly answerMs: number
}

export interface GuardDeps {
  /** Name of the server in log and metric. */
  readonly server: string
  readonly clock: Clock
  readonly recordRefusal: RecordRefusal
}

/** Interval for checking deadlines. */
const SWEEP_MS = 500
/**
 * A handshake and a request take less time, even on a server that is short of CPU. Until then a connection is not
 * evicted for one that waits for its handshake; otherwise many honest clients at once would all start and none would
 * finish.
 */
const GRACE_MS = 1000

/** The connections of one server; guard.ts calls it for each event of the server. */
export class ConnectionGuard {
  readonly #isTls: boolean
  readonly #limits: ConnectionLimits
  readonly #deps: GuardDeps
  /** Waiting for their handshake; they cost little except memory in the kernel. */
  readonly #waiting: Budget<Connection>
  readonly #unfinished: Budget<Connection>
  readonly #proven: Budget<Connection>
  readonly #queue: Queue<Connection> | undefined
  /** By both ends until TLS has its own socket; from then on by the socket of Node's HTTP server. */
  readonly #byName = new Map<string, Connection>()
  readonly #bySocket = new WeakMap<Socket, Connection>()
  #cancelSweep: Cancel | undefined

  constructor(limits: ConnectionLimits, deps: GuardDeps, isTls: boolean) {
    this.#isTls = isTls
    this.#limits = limits
    this.#deps = deps
    this.#waiting = createBudget(limits.handshakes?.waiting ?? limits.unfinished)
    this.#unfinished = createBudget(limits.unfinished)
    this.#proven = createBudget(limits.proven)
    this.#queue =
      limits.handshakes === undefined
        ? undefined
        : createQueue(limits.handshakes, deps.clock, (address) => this.#mayBegin(address))
  }

  counts(): { unfinished: number; proven: number } {
    const unfinished = this.#waiting.size + this.#unfinished.size
    return { unfinished, proven: this.#proven.size }
  }

  stop(): void {
    this.#queue?.stop()
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    for (const budget of [this.#waiting, this.#unfinished]) {
      for (const { raw } of [...budget.members()]) raw.destroy()
    }
  }

  accept(raw: Socket, begin: () => void): void {
    raw.on('error', () => undefined) // Node adds its listener only with TLS or HTTP
    const name = nameOf(raw)
    if (name === undefined) {
      raw.destroy()
      return
    }
    const nowMs = this.#deps.clock.monotonic()
    const connection: Connection = new Connection(raw, nowMs, !this.#isTls, () => {
      this.#waiting.delete(connection)
      connection.sinceMs = this.#deps.clock.monotonic()
      this.#unfinished.add(connection)
      this.#evict(this.#unfinished)
      if (!raw.destroyed) begin()
    })
    if (this.#isTls) this.#byName.set(name, connection)
    else this.#bySocket.set(raw, connection)
    raw.on('close', () => {
      if (this.#byName.get(name) === connection) this.#byName.delete(name)
      this.#forget(connection)
    })
    this.#sweepSoon()
    if (this.#queue === undefined) {
      connection.begin()
      if (!this.#isTls) this.#watchParser(raw, connection)
      return
    }
    this.#waiting.add(connection)
    this.#queue.add(connection)
    this.#evict(this.#waiting)
  }

  /** True if there is room for another handshake, or a connection whose grace period is over. */
  #mayBegin(address: string): boolean {
    const evicted = this.#unfinished.wouldEvict(address)
    return evicted === undefined || this.#deps.clock.monotonic() - evicted.sinceMs >= GRACE_MS
  }

  secured(socket: Socket): void {
    const connection = this.#byName.get(nameOf(socket) ?? '')
    if (connection !== undefined) {
      connection.isSecure = true
      this.#bySocket.set(socket, connection)
      this.#watchParser(socket, connection)
    }
    socket.resume() // pauseOnConnect has paused it, and Node does not resume it
  }

  /** True if the request must be processed. */
  request(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const connection = this.#bySocket.get(socket)
    if (connection === undefined || connection.raw.destroyed) {
      // Data that has already arrived is still parsed, and Node's parser must not lose its socket meanwhile.
      setImmediate(() => socket.destroy())
      return false
    }
    connection.response = response
    if (this.#proven.has(connection)) {
      connection.sinceMs = this.#deps.clock.monotonic()
      return true
    }
    const proves = (): void => {
      if (request.complete) this.#hasProven(connection)
    }
    request.on('end', proves)
    response.on('finish', proves)
    return true
  }

  failed(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.#bySocket.get(socket)
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && connection !== undefined) {
      this.#refuse(connection, 'deadline')
    } else if (socket.writable && error.code !== 'ECONNRESET') {
      const status =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : '400 Bad Request'
      socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`, () => socket.destroy())
    } else socket.destroy()
  }

  /** No client of nocreds sends a second request before the first response, and each would use memory. */
  #watchParser(socket: Socket, connection: Connection): void {
    refusePipelining(socket, () => {
      this.#refuse(connection, 'pipelining')
    })
  }

  #hasProven(connection: Connection): void {
    connection.sinceMs = this.#deps.clock.monotonic()
    if (!this.#unfinished.has(connection)) return
    this.#unfinished.delete(connection)
    this.#proven.add(connection)
    this.#evict(this.#proven)
    this.#queue?.advance()
  }

  #evict(budget: Budget<Connection>): void {
    for (let one = budget.excess(); one !== undefined; one = budget.excess()) {
      this.#refuse(one, 'connections')
    }
  }

  #refuse(connection: Connection, reason: RefusalReason): void {
    this.#deps.recordRefusal(this.#deps.server, reason, connection.address)
    this.#forget(connection)
    // Reset without closing: unsent data would stay in the kernel.
    connection.raw.resetAndDestroy()
  }

  #forget(connection: Connection): void {
    this.#waiting.delete(connection)
    this.#unfinished.delete(connection)
    this.#proven.delete(connection)
    this.#queue?.delete(connection)
    this.#queue?.advance()
  }

  #sweepSoon(): void {
    this.#cancelSweep ??= this.#deps.clock.after(SWEEP_MS, () => {
      this.#cancelSweep = undefined
      const nowMs = this.#deps.clock.monotonic()
      const budgets = [this.#waiting, this.#unfinished, this.#proven]
      for (const budget of budgets) {
        for (const connection of [...budget.members()]) {
          if (this.#isLate(connection, nowMs)) this.#refuse(connection, 'deadline')
        }
      }
      if (budgets.some(({ size }) => size > 0)) this.#sweepSoon()
    })
  }

  #isLate(connection: Connection, nowMs: number): boolean {
    const { handshakeMs, firstRequestMs, answerMs } = this.#limits.deadlines
    const { acceptedMs, isSecure } = connection
    if (connection.busyMs(nowMs) > answerMs) return true
    if (this.#proven.has(connection)) return false // from here on, Node's own timeouts apply
    return nowMs - acceptedMs > (isSecure ? firstRequestMs : handshakeMs)
  }
}
