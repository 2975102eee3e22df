import { Harness } from './harness.ts'
import type { Section } from './section.ts'
import { median, spread } from './statistics.ts'

const GOAL_MS = 1000
const ROUNDS = 9

/** From process start to ready: the certificate is in the Secret already, and the lists are short. */
export function measureStart(): Promise<Section> {
  return Harness.with(async (harness) => {
    const cluster = await harness.program('cluster.ts', [...harness.tlsFiles, '1', '1'])
    const kubeConfig = await harness.kubeConfig(cluster)
    const startMs = async (options: object): Promise<number> => {
      const startedAt = performance.now()
      const webhook = await harness.webhook(options)
      const elapsedMs = performance.now() - startedAt
      webhook.child.kill('SIGKILL') // draining is not what is measured
      return elapsedMs
    }
    const selfManaged = { kubeConfig, tlsFlags: [] }
    const issuingMs = await startMs(selfManaged)
    const [cached, standalone]: [number[], number[]] = [[], []]
    for (let round = 0; round < ROUNDS; round += 1) {
      cached.push(await startMs(selfManaged))
      standalone.push(await startMs({}))
    }
    return {
      title: 'Start',
      goal: `process start to ready with a cached certificate under ${GOAL_MS} ms, without the list's time`,
      measured: `${spread(cached, 0)} ms`,
      verdict: median(cached) < GOAL_MS ? 'reached' : 'missed',
      detail: [
        `${ROUNDS} starts against an apiserver on loopback with one Namespace and one ServiceAccount. The very first, which issues CA and certificate, took ${issuingMs.toFixed(0)} ms; standalone (\`--objects\`, no cluster) ${spread(standalone, 0)} ms.`,
      ],
    }
  })
}
