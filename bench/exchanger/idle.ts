import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { bundlePrograms } from '../../build/programs.ts'
import { start, until } from '../../testbed/exchanger-pod.ts'
import type { Section } from '../section.ts'
import { startLoopback, type Delivery, type Loopback } from './loopback.ts'
import { cpuMs, sleeps } from './proc.ts'

const GOAL = { cpuPercent: 0.05, secondsPerWakeUp: 10 } as const
const SETTLE_MS = 3000
const MINUTE_MS = 60_000

/** A sidecar with credentials of an hour that nobody asks for: what it costs to be there. */
export async function measureIdle(minutes = 10): Promise<Section> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
  const loopback = await startLoopback()
  try {
    await bundlePrograms(folder, ['exchanger.mjs', 'exchange.mjs'])
    const exchanger = join(folder, 'exchanger.mjs')
    const idles = await Promise.all(
      (['process', 'endpoint'] as const).map((delivery) =>
        idleOf({ loopback, exchanger, delivery, minutes }),
      ),
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
  } finally {
    await loopback.close()
    await rm(folder, { recursive: true })
  }
}

interface IdleRun {
  readonly loopback: Loopback
  readonly exchanger: string
  readonly delivery: Delivery
  readonly minutes: number
}

async function idleOf({ loopback, exchanger, delivery, minutes }: IdleRun) {
  const pod = await loopback.pod(delivery)
  const sidecar = start(exchanger, 'run', pod.env)
  try {
    await until(() => sidecar.said.stdout.includes('"credentials published"') || undefined)
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
  } finally {
    sidecar.kill('SIGTERM')
    await sidecar.exited
    pod.remove()
  }
}
