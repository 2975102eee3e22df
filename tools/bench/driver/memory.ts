import { setTimeout as pause } from 'node:timers/promises'
import { anonymousMiB, cpuMs } from '../proc.ts'
import type { Section } from '../section.ts'
import { slope } from '../statistics.ts'
import { pidOf, pods, withNode } from './harness.ts'

const GOAL = { anonymousMiB: 48, growthMiB: 0.2, cpuPercent: 0.2 } as const
const LIFETIME_SECONDS = 9
/** For the first ten or so, V8 and malloc still fill what they keep. */
const LIVES = 30
const MINUTE_MS = 60_000

/** 100 pods of 20 ServiceAccounts over thirty lifetimes of their credentials, with a publish of every pod in each. */
export async function measureMemory(): Promise<Section> {
  const { atRest, afterEach } = await withNode(
    { lifetimeSeconds: LIFETIME_SECONDS },
    async (node) => {
      const all = pods()
      const rest = anonymousMiB(pidOf(node))
      await Promise.all(all.map((pod) => node.startPod(pod)))
      const measured: number[] = []
      for (let life = 0; life < LIVES; life += 1) {
        for (const pod of all) await node.republish(pod)
        await pause(LIFETIME_SECONDS * 1000)
        measured.push(anonymousMiB(pidOf(node)))
      }
      return { atRest: rest, afterEach: measured }
    },
  )
  const last = afterEach.at(-1) ?? 0
  const growth = slope(afterEach.slice(LIVES / 2))
  return {
    title: 'Memory of the driver',
    goal: `≤ ${GOAL.anonymousMiB} MiB anonymous with 100 pods of 20 ServiceAccounts after ${LIVES} lifetimes, STS over TLS, without growth`,
    measured: `${last.toFixed(1)} MiB, ${growth.toFixed(2)} MiB more each of the last ${LIVES / 2} lifetimes`,
    verdict: last <= GOAL.anonymousMiB && growth <= GOAL.growthMiB ? 'reached' : 'missed',
    detail: [
      `RssAnon by /proc/PID/status; before the first pod ${atRest.toFixed(1)} MiB`,
      `after each lifetime: ${afterEach.map((mib) => mib.toFixed(1)).join(', ')}`,
    ],
  }
}

/** The same pods with credentials of an hour, and the kubelet's publish of each once a minute. */
export async function measureRest(minutes = 5): Promise<Section> {
  const { idle, withPublishes } = await withNode({}, async (node) => {
    const all = pods()
    await Promise.all(all.map((pod) => node.startPod(pod)))
    await pause(3000)
    const percentOver = async (action: () => Promise<unknown>): Promise<number> => {
      const before = cpuMs(pidOf(node))
      await Promise.all([action(), pause(minutes * MINUTE_MS)])
      return (100 * (cpuMs(pidOf(node)) - before)) / (minutes * MINUTE_MS)
    }
    return {
      idle: await percentOver(() => Promise.resolve()),
      withPublishes: await percentOver(async () => {
        for (let minute = 0; minute < minutes; minute += 1) {
          for (const pod of all) await node.republish(pod)
          await pause(MINUTE_MS / 2)
        }
      }),
    }
  })
  return {
    title: 'The driver at rest',
    goal: `< ${GOAL.cpuPercent} % of a core with 100 pods`,
    measured: `${idle.toFixed(3)} %`,
    verdict: idle < GOAL.cpuPercent ? 'reached' : 'missed',
    detail: [
      `CPU of all threads over ${minutes} min`,
      `with a publish of every pod each minute, as a kubelet does: ${withPublishes.toFixed(3)} %`,
    ],
  }
}
