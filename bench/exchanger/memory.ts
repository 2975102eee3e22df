import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { bundlePrograms } from '../../build/programs.ts'
import { ENDPOINT } from '../../contract/names.ts'
import { start, type Running } from '../../testbed/exchanger-pod.ts'
import type { Section } from '../section.ts'
import { startLoopback, type Delivery, type LoopbackPod } from './loopback.ts'
import { anonymousMiB, childrenOf, proportionalAnonymousMiB } from './proc.ts'
import { slope } from '../statistics.ts'

const GOAL_MIB = { process: 10.5, endpoint: 12, peak: 48 } as const
/** V8 takes memory by pages of 256 KiB: less than one of them in 100 refreshes is no growth. */
const NOISE_KIB = 256
/** Credentials this short are replaced by the real schedule every two seconds. */
const LIFETIME_SECONDS = 4
/** After the sidecar has released memory, and before the next exchange. */
const REST_MS = 400
const PEAK_LOOK_MS = 4

export function measureProcessMemory(refreshes = 200): Promise<Section> {
  return measureMemory('process', refreshes)
}

/** An app asks once after each refresh, as SDKs do. */
export function measureEndpointMemory(refreshes = 200): Promise<Section> {
  return measureMemory('endpoint', refreshes)
}

async function measureMemory(delivery: Delivery, refreshes: number): Promise<Section> {
  const atRest: number[] = []
  let last = { anonymous: NaN, proportional: NaN }
  await withSidecar(delivery, async (sidecar, pod) => {
    while (atRest.length < refreshes) {
      await published(sidecar, atRest.length + 1)
      if (delivery === 'endpoint') await askOnce(pod)
      await pause(REST_MS)
      last = measured(sidecar)
      atRest.push(last.anonymous)
    }
  })
  const half = atRest.slice(-Math.ceil(refreshes / 2))
  const growthKiB = slope(half) * 1024 * half.length
  const goal = GOAL_MIB[delivery]
  return {
    title: `Resident memory, delivery ${delivery}`,
    goal: `≤ ${goal} MiB anonymous after ${refreshes} refreshes, without growth`,
    measured: `${last.anonymous.toFixed(2)} MiB; over the last ${half.length} refreshes ${growthKiB.toFixed(0)} KiB`,
    verdict: last.anonymous <= goal && growthKiB < NOISE_KIB ? 'reached' : 'missed',
    detail: [
      `RssAnon of the process that stays; Pss_Anon ${last.proportional.toFixed(2)} MiB`,
      `at rest after refresh 1, ${Math.ceil(refreshes / 2)} and ${refreshes}: ${[0, Math.ceil(refreshes / 2) - 1, refreshes - 1].map((index) => (atRest[index] ?? NaN).toFixed(2)).join(', ')} MiB; most: ${Math.max(...atRest).toFixed(2)} MiB`,
      `growth is the slope of the last ${half.length} (least squares) times their number; less than ${NOISE_KIB} KiB, one page of V8's heap, is noise`,
      `the real schedule with credentials of ${LIFETIME_SECONDS} s, over TLS`,
    ],
  }
}

/** The most that resident process and exchange have together, and the gate beside them at the start. */
export async function measurePeakMemory(refreshes = 20): Promise<Section> {
  const peaks = await Promise.all(
    (['process', 'endpoint'] as const).map((delivery) => peakOf(delivery, refreshes)),
  )
  const most = Math.max(...peaks.map(({ together }) => together))
  return {
    title: 'Peak of resident process and exchange',
    goal: `< ${GOAL_MIB.peak} MiB anonymous, so that the limit of 64Mi holds`,
    measured: `${most.toFixed(1)} MiB`,
    verdict: most < GOAL_MIB.peak ? 'reached' : 'missed',
    detail: [
      `RssAnon of both every ${PEAK_LOOK_MS} ms through ${refreshes} refreshes, over TLS`,
      ...peaks.map(
        ({ delivery, together, exchange, withGate }) =>
          `delivery ${delivery}: ${together.toFixed(1)} MiB, of which the exchange alone at most ${exchange.toFixed(1)}; at the start, with the gate: ${withGate.toFixed(1)} MiB`,
      ),
    ],
  }
}

async function peakOf(delivery: Delivery, refreshes: number) {
  const most = { delivery, together: 0, exchange: 0, withGate: 0 }
  await withSidecar(delivery, async (sidecar, pod, exchanger) => {
    const gate = start(exchanger, 'wait', pod.env)
    const look = setInterval(() => {
      const exchange = childrenOf(sidecar.pid).map(anonymousOrNone)
      const both = exchange.reduce((sum, one) => sum + one, anonymousOrNone(sidecar.pid))
      most.exchange = Math.max(most.exchange, ...exchange)
      most.together = Math.max(most.together, both)
      most.withGate = Math.max(most.withGate, both + anonymousOrNone(gate.pid))
    }, PEAK_LOOK_MS)
    try {
      await gate.exited
      await published(sidecar, refreshes)
    } finally {
      clearInterval(look)
    }
  })
  return most
}

/** 0 for a process that has just ended. */
function anonymousOrNone(pid: number): number {
  try {
    return anonymousMiB(pid)
  } catch {
    return 0
  }
}

function measured({ pid }: Running): { anonymous: number; proportional: number } {
  return { anonymous: anonymousMiB(pid), proportional: proportionalAnonymousMiB(pid) }
}

/** Runs a sidecar of the built programs as long as the action takes. */
async function withSidecar(
  delivery: Delivery,
  action: (sidecar: Running, pod: LoopbackPod, exchanger: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
  const loopback = await startLoopback(LIFETIME_SECONDS)
  const pod = await loopback.pod(delivery)
  await bundlePrograms(folder, ['exchanger.mjs', 'exchange.mjs'])
  const exchanger = join(folder, 'exchanger.mjs')
  const sidecar = start(exchanger, 'run', pod.env)
  try {
    await action(sidecar, pod, exchanger)
  } finally {
    sidecar.kill('SIGTERM')
    await sidecar.exited
    pod.remove()
    await loopback.close()
    await rm(folder, { recursive: true })
  }
}

/** Resolves once credentials were published that many times. */
async function published(sidecar: Running, times: number): Promise<void> {
  const { said, exited } = sidecar
  while (said.stdout.split('"credentials published"').length <= times) {
    if (await Promise.race([exited.then(() => true), pause(20, false)])) {
      throw new Error(`the sidecar ended: ${said.stdout}${said.stderr}`)
    }
  }
}

async function askOnce({ pod }: LoopbackPod): Promise<void> {
  const { host, port, path } = ENDPOINT
  const file = join(pod.config.credentialsFolder, 'authorization')
  const headers = { authorization: await readFile(file, 'utf8') }
  await new Promise<void>((resolve, reject) => {
    get({ host, port, path, headers, agent: false }, (response) => {
      response.resume().on('end', resolve)
    }).on('error', reject)
  })
}
