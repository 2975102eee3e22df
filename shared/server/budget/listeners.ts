import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import { listen } from '../../base/server.ts'

/**
 * Node takes one connection from each listening socket in a turn of its event loop. A flood makes turns
 * long, and what its connections wait in then, callers wait in, too: with one socket a turn of 50 ms lets
 * 20 connections a second in. Linux spreads connections over the sockets of a port.
 */
const LISTENERS = 32
/** Connections that wait in each of them; the rest tries again in a second. */
const BACKLOG = 64

const FURTHER = new WeakMap<object, readonly Server[]>()

/**
 * Listens with several sockets on one port, and gives the port, which is a free one where 0 is asked for.
 *
 * @throws Node's error for a port that is taken
 */
export async function listenWidely(
  server: HttpServer | HttpsServer,
  port: number,
): Promise<number> {
  // Sockets that share a port would share it with another process of the same user as well.
  const trial = createServer()
  const found = await listen(trial, port)
  await new Promise((resolve) => trial.close(resolve))

  const options = { port: found, backlog: BACKLOG, reusePort: true }
  const { pauseOnConnect = false } = server as { pauseOnConnect?: boolean }
  const further = Array.from({ length: LISTENERS - 1 }, () =>
    createServer({ pauseOnConnect, allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
      server.emit('connection', socket)
    }),
  )
  FURTHER.set(server, further)
  await Promise.all([server, ...further].map((one) => listenWith(one, options)))
  return found
}

/** Lets no more connections in by the further sockets; resolves once those that are in are closed. */
export async function closeFurther(server: object): Promise<void> {
  const further = FURTHER.get(server) ?? []
  await Promise.all(further.map((one) => new Promise((resolve) => one.close(resolve))))
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
