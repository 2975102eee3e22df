import { costOf, count, highest, recoveryOf, startedAfterSeconds, total } from './figures.ts'
import type { FleetRecord } from './fleet.ts'
import type { Runs } from './goals.ts'
import { NODES, PODS_A_NODE, RESTART_MS, type NodeRuns } from './nodes.ts'
import { RESTART_FILE } from './pictures.ts'
import { SCENARIOS } from './scenarios.ts'

const HOUR_SECONDS = 3600
const RESTART_SECOND = RESTART_MS / 1000

/** The part of the page about drivers; without rows if there are no runs. */
export function nodesSection({ throttled, down40 }: Runs, nodes: readonly NodeRuns[]): string {
  const rows = nodes.map(({ accounts, restarted, down40: outage }) => {
    const before = { ...restarted, calls: restarted.calls.subarray(0, RESTART_SECOND) }
    const calls = restarted.calls.subarray(RESTART_SECOND)
    return [
      `driver, ${accounts} ServiceAccount${accounts === 1 ? '' : 's'} a node`,
      ...callsAndStart(restarted, before),
      `${count(total(calls.subarray(0, 120)))} / ${count(highest(calls.subarray(0, HOUR_SECONDS)))}`,
      afterOutage(outage),
    ]
  })
  const sidecar = ['sidecar', ...callsAndStart(throttled, throttled), '–', afterOutage(down40)]
  const table = nodes.length === 0 ? [] : [sidecar, ...rows].map((row) => `| ${row.join(' | ')} |`)
  return `${HEAD}${table.join('\n')}\n\n![all drivers are restarted](${RESTART_FILE})\n\n${WORDS}`
}

/** @param steady the record until what is to be left out */
function callsAndStart(record: FleetRecord, steady: FleetRecord): string[] {
  const pods = NODES * PODS_A_NODE
  const callsAnHour = costOf(steady).callsAPodAndHour * record.pods
  return [
    count(record.pods),
    (callsAnHour / pods).toFixed(2),
    (callsAnHour / HOUR_SECONDS).toFixed(1),
    `${count(highest(record.calls.subarray(0, HOUR_SECONDS)))} / ${startedAfterSeconds(record)} s`,
  ]
}

function afterOutage(record: FleetRecord): string {
  const { peakAfterwards, allServedAfterSeconds } = recoveryOf(record, SCENARIOS.down40.outage)
  return `${count(peakAfterwards)} / ${allServedAfterSeconds} s`
}

const HEAD = `## With drivers

${count(NODES * PODS_A_NODE)} pods on ${count(NODES)} nodes. A driver makes one exchange for all pods of its node that have the same ServiceAccount
and role. Each of these sharings has the schedule of one sidecar; a test holds what it does after a restart against the
real \`driver/shared-refresh.ts\`. All runs have the throttle.

- All drivers are restarted at once after 12 hours. (A DaemonSet replaces a tenth of them at a time.) The kubelet publishes
  each volume again within 90 s; until then a driver knows nothing of it.
- Where a pod gets nothing within 30 s, the kubelet tries again after 0.5, 1, 2, … 122 s; the driver repeats a
  failure for 10 s without a call.

| exchanger | sharings | calls a pod and hour | calls a second | start: most calls/s / all served after | restart: calls in 2 minutes / most calls/s in the hour after | STS down for 40 minutes: most calls/s afterwards / all served after |
|---|---:|---:|---:|---:|---:|---:|
`

const WORDS = `What these say:

- **Calls go with ServiceAccounts and nodes, not with pods.** Forty ServiceAccounts among ${PODS_A_NODE} pods of a node share little; replicas
  of one Deployment on a node share all. A session name with \`{pod}\` in it shares nothing.
- **A restart of all drivers is no storm.** Nothing is exchanged because a driver has started: what stands in the pods' folders
  is good, and each sharing draws a new moment from what that has left. No credentials ended.
- **After an outage** sharings come back as sidecars do, and fewer of them.
`
