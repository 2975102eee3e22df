import type { Section } from '../section.ts'
import { median, quantile, spread } from '../statistics.ts'
import { pods, withNode } from './harness.ts'

const GOAL_MS = 1500
const RUNS = 5

/** 100 pods at once: what the driver adds to the slowest of them, and how often it calls STS. */
export async function measureStart(): Promise<Section> {
  const slowest: number[] = []
  const middle: number[] = []
  const calls: number[] = []
  const callsOfOne: number[] = []
  for (let run = 0; run < RUNS; run += 1) {
    await withNode({}, async (node) => {
      const times = await Promise.all(
        pods().map(async (pod) => {
          const beganMs = performance.now()
          await node.startPod(pod)
          return performance.now() - beganMs
        }),
      )
      slowest.push(quantile(times, 1))
      middle.push(median(times))
      calls.push(node.sts.calls.length)
    })
    await withNode({}, async (node) => {
      await Promise.all(pods(1).map((pod) => node.startPod(pod)))
      callsOfOne.push(node.sts.calls.length)
    })
  }
  return {
    title: '100 pods at once',
    goal: `≤ ${GOAL_MS} ms for the slowest; one call of STS for each ServiceAccount`,
    measured: `${spread(slowest)} ms, ${median(calls)} calls for 20 ServiceAccounts, ${median(callsOfOne)} for one`,
    verdict:
      median(slowest) <= GOAL_MS && quantile(calls, 1) === 20 && quantile(callsOfOne, 1) === 1
        ? 'reached'
        : 'missed',
    detail: [
      `${RUNS} runs; from the publish to its answer, with the fake kubelet, issuer and STS on the same cores`,
      `the median pod: ${spread(middle)} ms`,
    ],
  }
}
