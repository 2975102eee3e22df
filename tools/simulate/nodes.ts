/** Fleets whose pods are served by drivers: what calls STS is one sharing for each ServiceAccount and node, not a pod. */
import { resumeDelayMs } from '../../exchanger/sidecar/schedule.ts'
import type { Random } from '../../shared/base/clock.ts'
import { seededRandom } from '../../test/fakes/virtual-clock.ts'
import { simulateFleet, type FleetRecord } from './fleet.ts'
import { mountDelayMs } from './kubelet.ts'
import { SCENARIOS, THROTTLE } from './scenarios.ts'
import { stsWith } from './sts.ts'

export const NODES = 2000
export const PODS_A_NODE = 50
/** How many ServiceAccounts, each with one role, the pods of a node have. */
export const ACCOUNTS_A_NODE = [40, 10, 1] as const

const HOUR_MS = 3_600_000
/** When all drivers are restarted at once. */
export const RESTART_MS = 12 * HOUR_MS
/** Source: Kubernetes, pkg/kubelet: pods are synchronized every 60 s, or up to half of that later. */
const REPUBLISH_MS = 90_000

export interface NodeRuns {
  /** Sharings of a node. */
  readonly accounts: number
  /** A day with the throttle, in the middle of which all drivers are restarted. */
  readonly restarted: FleetRecord
  /** STS is down for 40 minutes. */
  readonly down40: FleetRecord
}

/** @param nodes fewer of them for tests */
export function runNodes(accounts: number, seed: number, nodes = NODES): NodeRuns {
  const { durationMs, lifetimeMs, outage } = SCENARIOS.down40
  const common = {
    pods: nodes * accounts,
    startSpreadMs: 60_000,
    durationMs,
    lifetimeMs,
    restartDelayMs: mountDelayMs,
  }
  return {
    accounts,
    restarted: simulateFleet({
      ...common,
      sts: stsWith(undefined, THROTTLE),
      random: seededRandom(seed),
      interruption: {
        atMs: RESTART_MS,
        nextMs: (sharing, endMs, random) =>
          firstAfterRestartMs(republishesMs(membersOf(sharing, accounts), random), endMs, random),
      },
    }),
    down40: simulateFleet({
      ...common,
      sts: stsWith(outage, THROTTLE),
      random: seededRandom(seed),
    }),
  }
}

/** How many pods of the node share one exchange; they are spread as evenly as they can be. */
function membersOf(sharing: number, accounts: number): number {
  const fewest = Math.floor(PODS_A_NODE / accounts)
  return (sharing % accounts) + fewest * accounts < PODS_A_NODE ? fewest + 1 : fewest
}

/** When the kubelet publishes the volumes of so many pods again; in order. */
function republishesMs(pods: number, random: Random): number[] {
  const moments = Array.from(
    { length: pods },
    () => RESTART_MS + Math.floor(REPUBLISH_MS * random()),
  )
  return moments.toSorted((one, other) => one - other)
}

/**
 * When a sharing exchanges first after its driver was restarted, which knows its pods by what stands in their folders. Steps
 * and draws as SharedRefresh.join does: each pod that comes may bring the exchange forward. Held by a test.
 *
 * @param republishesMs when each pod comes, in order; at least one
 * @param endMs when the credentials in the folders end, after the last of these moments
 */
export function firstAfterRestartMs(
  republishesMs: readonly number[],
  endMs: number,
  random: Random,
): number {
  let dueMs = Infinity
  for (const [n, nowMs] of republishesMs.entries()) {
    if (nowMs >= dueMs) break // the others get what this exchange has given
    // The refresher starts with the first one, and draws for itself.
    const draws = n === 0 ? 2 : 1
    for (let draw = 0; draw < draws; draw += 1) {
      dueMs = Math.min(dueMs, nowMs + Math.ceil(resumeDelayMs(endMs - nowMs, random)))
    }
  }
  return dueMs
}
