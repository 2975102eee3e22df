import { Counter, type Registry } from '@prometheus-io/client'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'

/** Why a connection was destroyed: the metric's label `reason`. */
export type RefusalReason = 'connections' | 'body-bytes' | 'deadline' | 'pipelining'

/** @param server such as `admission` @param address of the client */
export type RecordRefusal = (server: string, reason: RefusalReason, address: string) => void

/** Interval of log lines for each server and reason, so that a flood does not flood the log. */
const LINE_MS = 10_000

/** Counts destroyed connections, and logs them from time to time. */
export function countRefusals(
  registry: Registry,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): RecordRefusal {
  const counter = new Counter({
    name: 'nocreds_connections_refused_total',
    help: 'Connections that were destroyed because a budget was exceeded or a deadline passed',
    labelNames: ['server', 'reason'],
    registers: [registry],
  })
  const lines = new Map<string, { lastMs: number; pending: number }>()
  return (server, reason, address) => {
    counter.inc({ server, reason })
    const key = `${server} ${reason}`
    const line = lines.get(key) ?? { lastMs: -Infinity, pending: 0 }
    lines.set(key, line)
    line.pending += 1
    const nowMs = clock.monotonic()
    if (nowMs - line.lastMs < LINE_MS) return
    // Only the address of the last one: a hint, because a flood usually comes from one address.
    log.warn({ server, reason, address, connections: line.pending }, 'connections refused')
    line.lastMs = nowMs
    line.pending = 0
  }
}
