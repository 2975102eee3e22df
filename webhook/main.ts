import { realClock } from '../shared/base/clock.ts'
import type { KubeClient } from '../shared/server/kube/kube-client.ts'
import { runProgram } from '../shared/server/program.ts'
import { parseFlags, usage } from './config.ts'
import { startWebhook } from './run.ts'

/**
 * Small buffers are cut from slabs of this size. Node's own of 8 KiB hold two patches, and a new slab
 * for every second review is a measurable part of its time.
 */
Buffer.poolSize = 65_536

await runProgram({
  usage,
  parseFlags,
  async start(config, log) {
    const kube = config.objects === undefined ? await connect() : undefined
    return startWebhook(config, { clock: realClock, random: Math.random, log, kube })
  },
})

/** Loaded only if there is a cluster: the library takes most of the startup time and of the memory. */
async function connect(): Promise<KubeClient> {
  const { createKubeClient, loadKubeConfig } = await import('../shared/server/kube/kube.ts')
  return createKubeClient(loadKubeConfig())
}
