import type { Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { sleep, type Clock } from '../base/clock.ts'
import { dropUnfinished } from './budget/guard.ts'
import { closeAdditional } from './budget/listeners.ts'

/** Time for kube-proxies to stop sending connections to an unready process. */
const DRAIN_MS = 5000
/** Time for requests that are still in progress after the drain. */
const CLOSE_MS = 5000

/** Waits until clients no longer send connections to a process that became unready. */
export function drain(clock: Clock): Promise<void> {
  return sleep(clock, DRAIN_MS)
}

/** Closes servers; requests in progress are completed, for a limited time. */
export async function closeServers(
  servers: readonly (Server | HttpsServer)[],
  clock: Clock,
): Promise<void> {
  await Promise.all(servers.map((server) => close(server, clock)))
}

async function close(server: Server | HttpsServer, clock: Clock): Promise<void> {
  const closed = Promise.all([
    new Promise((resolve) => server.close(resolve)),
    closeAdditional(server),
  ])
  server.closeIdleConnections()
  const cancel = clock.after(CLOSE_MS, () => {
    server.closeAllConnections()
    dropUnfinished(server)
  })
  await closed
  cancel()
}
