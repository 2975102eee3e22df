import type { Server } from 'node:net'

/**
 * Listens and gives the port, which is a free one where 0 is asked for.
 *
 * @param backlog connections that the system keeps until they are taken; 511 where not given
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
