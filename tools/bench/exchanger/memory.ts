import { readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { SidecarDelivery } from '../../../contract/delivery.ts'
import { ENDPOINT } from '../../../contract/names.ts'
import { anonymousMiB, childrenOf, proportionalAnonymousMiB } from '../proc.ts'
import type { Section } from '../section.ts'
import { slope } from '../statistics.ts'
import { nameOf, published, withSidecar, withHarness } from './harness.ts'
import type { Kept, LoopbackPod } from './loopback.ts'

const GOAL_MIB: Readonly<Record<SidecarDelivery | 'roles', number>> = {
  process: 10.5,
  endpoint: 12,
  roles: 11.5,
}
/** V8 takes memory by pages of 256 KiB: less than one of them in 100 refreshes is no growth. */
const NOISE_KIB = 256
/** What is this short-lived is replaced by the real schedule every two seconds. */
export const LIFETIME_SECONDS = 4
/** So long without a child the sidecar is at rest: it has released memory, and no next exchange began. */
const REST_MS = 400
const LOOK_MS = 20

export function measureProcessMemory(refreshes = 200): Promise<Section> {
  return measureMemory({ delivery: 'process' }, refreshes)
}

/** An app asks once after each refresh, as SDKs do. */
export function measureEndpointMemory(refreshes = 200): Promise<Section> {
  return measureMemory({ delivery: 'endpoint' }, refreshes)
}

export function measureCertificateMemory(refreshes = 200): Promise<Section> {
  return measureMemory({ certificate: true }, refreshes)
}

export function measureBothMemory(refreshes = 200): Promise<Section> {
  return measureMemory({ delivery: 'process', certificate: true }, refreshes)
}

/** A pod with a role for each of three containers. */
export function measureRolesMemory(refreshes = 100): Promise<Section> {
  return measureMemory({ delivery: 'process', roles: 3 }, refreshes)
}

async function measureMemory(kept: Kept, refreshes: number): Promise<Section> {
  const { delivery = 'process', roles = 1 } = kept
  const lifetimeSeconds = LIFETIME_SECONDS * roles // or it would never be at rest
  const atRest: number[] = []
  let proportional = NaN
  await withHarness(
    (harness) =>
      withSidecar(harness, kept, async (sidecar, pod) => {
        while (atRest.length < refreshes) {
          await published(sidecar, kept, atRest.length + 1)
          if (kept.delivery === 'endpoint') await askOnce(pod)
          await rested(sidecar.pid)
          atRest.push(anonymousMiB(sidecar.pid))
        }
        proportional = proportionalAnonymousMiB(sidecar.pid)
      }),
    lifetimeSeconds,
  )
  const middle = Math.ceil(refreshes / 2)
  const half = atRest.slice(-middle)
  const growthKiB = slope(half) * 1024 * half.length
  const goal = GOAL_MIB[roles > 1 ? 'roles' : delivery]
  const last = atRest.at(-1) ?? NaN
  const mib = (place: number): string => (atRest[place - 1] ?? NaN).toFixed(2)
  return {
    title: `Resident memory, ${nameOf(kept)}`,
    goal: `≤ ${goal} MiB anonymous after ${refreshes} refreshes, without growth`,
    measured: `${last.toFixed(2)} MiB; over the last ${half.length} refreshes ${growthKiB.toFixed(0)} KiB`,
    verdict: last <= goal && growthKiB < NOISE_KIB ? 'reached' : 'missed',
    detail: [
      `RssAnon of the process that stays; Pss_Anon ${proportional.toFixed(2)} MiB`,
      `at rest after refresh 1, ${middle} and ${refreshes}: ${mib(1)}, ${mib(middle)}, ${mib(refreshes)} MiB; most: ${Math.max(...atRest).toFixed(2)} MiB`,
      `growth is the slope of the last ${half.length} (least squares) times their number; less than ${NOISE_KIB} KiB, one page of V8's heap, is noise`,
      `the real schedule with a lifetime of ${lifetimeSeconds} s, over TLS${kept.certificate === true ? '; certificates of a test authority' : ''}`,
    ],
  }
}

async function rested(pid: number): Promise<void> {
  for (let restMs = 0; restMs < REST_MS; restMs += LOOK_MS) {
    await pause(LOOK_MS)
    if (childrenOf(pid).length > 0) restMs = 0
  }
}

async function askOnce({ credentialsFolder }: LoopbackPod): Promise<void> {
  const { host, port, path } = ENDPOINT
  const file = join(credentialsFolder, 'authorization')
  const headers = { authorization: await readFile(file, 'utf8') }
  await new Promise<void>((resolve, reject) => {
    get({ host, port, path, headers, agent: false }, (response) => {
      response.resume().on('end', resolve)
    }).on('error', reject)
  })
}
