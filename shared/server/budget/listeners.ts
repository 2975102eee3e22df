import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import { listen } from '../../base/server.ts'

/**
 * Node accepts one connection from each listening socket per iteration of its event loop. A flood makes iterations
 * long and fills the accept queue in which other clients wait, too: with one socket, iterations of 50 ms accept 20
 * connections a second. Linux distributes connections over the sockets of a port.
 */
const LISTENERS = 32
/** Connections that wait in each of them; additional ones retry after a second. */
const BACKLOG = 64

const ADDITIONAL = new WeakMap<object, readonly Server[]>()

/**
 * Listens with several sockets on one port, and returns the port, which is any free one for port 0.
 *
 * @throws Node's error if the port is taken
 */
export async function listenOnManySockets(
  server: HttpServer | HttpsServer,
  port: number,
): Promise<number> {
  // With reusePort alone, the port could be shared with another process of the same user.
  const trial = createServer()
  const found = await listen(trial, port)
  await new Promise((resolve) => trial.close(resolve))

  const options = { port: found, backlog: BACKLOG, reusePort: true }
  const { pauseOnConnect = false } = server as { pauseOnConnect?: boolean }
  const additional = Array.from({ length: LISTENERS - 1 }, () =>
    createServer({ pauseOnConnect, allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
      server.emit('connection', socket)
    }),
  )
  ADDITIONAL.set(server, additional)
  await Promise.all([server, ...additional].map((one) => listenWith(one, options)))
  return found
}

/** Closes the additional sockets; resolves once their open connections are closed. */
export async function closeAdditional(server: object): Promise<void> {
  const additional = ADDITIONAL.get(server) ?? []
  await Promise.all(additional.map((one) => new Promise((resolve) => one.close(resolve))))
}

function listenWith(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
