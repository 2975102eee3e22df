import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { ConnectionGuard, type ConnectionLimits, type GuardDeps } from './connection-guard.ts'
import { takeOver } from './sockets.ts'

const GUARDS = new WeakMap<object, ConnectionGuard>()

/** Destroys the connections without a complete request; a closing server would wait for them. */
export function dropUnfinished(server: object): void {
  GUARDS.get(server)?.stop()
}

/** Open connections of a guarded server, without and with a complete request. */
export function connectionsOf(server: object): {
  readonly unfinished: number
  readonly proven: number
} {
  return GUARDS.get(server)?.counts() ?? { unfinished: 0, proven: 0 }
}

/**
 * Limits the connections of an HTTP or HTTPS server; call it once, before it listens. A connection over the budget is
 * destroyed, never paused, because a paused one still uses memory, at least in the kernel.
 *
 * Node's own `maxConnections` closes new connections, so the first clients would keep out all others.
 *
 * A TLS server needs `pauseOnConnect`, so that nothing is read from a connection that waits for its handshake.
 */
export function guardServer(
  server: Server | HttpsServer,
  limits: ConnectionLimits,
  deps: GuardDeps,
): void {
  const guard = new ConnectionGuard(limits, deps, server instanceof TlsServer)
  GUARDS.set(server, guard)
  // Node cannot refuse a connection before TLS accepts it, so its listeners are called from here.
  const begin = takeOver(server, 'connection')
  server.on('connection', (socket: Socket) => {
    guard.accept(socket, () => {
      begin(socket)
    })
  })
  server.on('secureConnection', (socket: Socket) => {
    guard.secured(socket)
  })
  const answer = takeOver(server, 'request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (guard.request(request, response)) answer(request, response)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    guard.failed(error, socket)
  })
  server.on('close', () => {
    guard.stop()
  })
}
