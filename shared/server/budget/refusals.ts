import { Counter, type Registry } from '@prometheus-io/client'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'

/** Why a connection was destroyed: the label of the metric. */
export type RefusalReason = 'connections' | 'body-bytes' | 'deadline' | 'pipelining'

/** @param server such as `admission` @param address of the caller */
export type RecordRefusal = (server: string, reason: RefusalReason, address: string) => void

/** A flood must not flood the log: one line for each server and reason in this time. */
const LINE_MS = 10_000

/** Counts connections that were destroyed, and says so in the log now and then. */
export function countRefusals(
  registry: Registry,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): RecordRefusal {
  const counter = new Counter({
    name: 'nocreds_connections_refused_total',
    help: 'Connections that were destroyed because a budget was used up or a deadline passed',
    labelNames: ['server', 'reason'],
    registers: [registry],
  })
  const lines = new Map<string, { lastMs: number; unsaid: number }>()
  return (server, reason, address) => {
    counter.inc({ server, reason })
    const key = `${server} ${reason}`
    const line = lines.get(key) ?? { lastMs: -Infinity, unsaid: 0 }
    lines.set(key, line)
    line.unsaid += 1
    const nowMs = clock.monotonic()
    if (nowMs - line.lastMs < LINE_MS) return
    // The address is of the last one only: a hint, as a flood mostly comes from one.
    log.warn({ server, reason, address, connections: line.unsaid }, 'connections refused')
    line.lastMs = nowMs
    line.unsaid = 0
  }
}
