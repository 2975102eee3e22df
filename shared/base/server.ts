import type { Server } from 'node:net'

/**
 * Listens and returns the port, which is any free one for port 0.
 *
 * @param backlog connections that the system queues until they are accepted; 511 if absent
 */
export function listen(
  server: Server,
  port: number,
  host?: string,
  backlog?: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const bounds = backlog === undefined ? {} : { backlog }
    server.listen({ port, ...(host === undefined ? {} : { host }), ...bounds }, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
