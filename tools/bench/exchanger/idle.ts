import { setTimeout as pause } from 'node:timers/promises'
import { SIDECAR_DELIVERIES, type SidecarDelivery } from '../../../contract/delivery.ts'
import { cpuMs, sleeps } from '../proc.ts'
import type { Section } from '../section.ts'
import { published, withSidecar, withHarness, type Harness } from './harness.ts'

const GOAL = { cpuPercent: 0.05, secondsPerWakeUp: 10 } as const
const SETTLE_MS = 3000
const MINUTE_MS = 60_000

/** An idle sidecar with credentials of an hour: what its presence costs. */
export async function measureIdle(minutes = 10): Promise<Section> {
  const idles = await withHarness((harness) =>
    Promise.all(SIDECAR_DELIVERIES.map((delivery) => idleOf(harness, delivery, minutes))),
  )
  const percent = Math.max(...idles.map((idle) => idle.cpuPercent))
  const seconds = Math.min(...idles.map((idle) => idle.secondsPerWakeUp))
  return {
    title: 'Idle cost',
    goal: `< ${GOAL.cpuPercent} % of a core over ${minutes} min, no timer more often than once in ${GOAL.secondsPerWakeUp} s`,
    measured: `${percent.toFixed(4)} %, awake once in ${seconds.toFixed(0)} s`,
    verdict: percent < GOAL.cpuPercent && seconds >= GOAL.secondsPerWakeUp ? 'reached' : 'missed',
    detail: [
      `CPU of all threads by /proc/PID/task/*/schedstat over ${minutes} min; the main thread's voluntary context switches, one or more for each timer`,
      ...idles.map(
        (idle) =>
          `delivery ${idle.delivery}: ${idle.ranMs.toFixed(1)} ms, ${idle.cpuPercent.toFixed(4)} % of a core, awake ${idle.wakeUps} times`,
      ),
    ],
  }
}

function idleOf(harness: Harness, delivery: SidecarDelivery, minutes: number) {
  return withSidecar(harness, { delivery }, async (sidecar) => {
    await published(sidecar, { delivery }, 1)
    await pause(SETTLE_MS)
    const before = { ranMs: cpuMs(sidecar.pid), sleeps: sleeps(sidecar.pid) }
    await pause(minutes * MINUTE_MS)
    const ranMs = cpuMs(sidecar.pid) - before.ranMs
    const wakeUps = sleeps(sidecar.pid) - before.sleeps
    return {
      delivery,
      ranMs,
      wakeUps,
      cpuPercent: (100 * ranMs) / (minutes * MINUTE_MS),
      secondsPerWakeUp: (minutes * 60) / Math.max(1, wakeUps),
    }
  })
}
