import type { Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { sleep, type Clock } from '../base/clock.ts'
import { dropUnfinished } from './budget/guard.ts'
import { closeFurther } from './budget/listeners.ts'

/** After a process is unready, kube-proxies need a moment to send nobody here any more. */
const DRAIN_MS = 5000
/** What is still under way after the drain gets this long. */
const CLOSE_MS = 5000

/** Time for callers to learn that a process that became unready wants no more of them. */
export function drain(clock: Clock): Promise<void> {
  return sleep(clock, DRAIN_MS)
}

/** Closes servers; what is under way is answered, for a while. */
export async function closeServers(
  servers: readonly (Server | HttpsServer)[],
  clock: Clock,
): Promise<void> {
  await Promise.all(servers.map((server) => close(server, clock)))
}

async function close(server: Server | HttpsServer, clock: Clock): Promise<void> {
  const closed = Promise.all([
    new Promise((resolve) => server.close(resolve)),
    closeFurther(server),
  ])
  server.closeIdleConnections()
  const cancel = clock.after(CLOSE_MS, () => {
    server.closeAllConnections()
    dropUnfinished(server)
  })
  await closed
  cancel()
}
