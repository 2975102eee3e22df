/** Test double: servers that nothing outside this machine can reach. Never shipped. */
import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { listen } from '../../shared/base/server.ts'

/** Listens on 127.0.0.1 and returns the port; 0 lets the system choose one. */
export function listenOnLoopback(server: HttpServer | HttpsServer, port: number): Promise<number> {
  return listen(server, port, '127.0.0.1')
}

/** Ends the server and every connection to it; no error if it does not listen. */
export async function closeAtOnce(server: HttpServer | HttpsServer): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
