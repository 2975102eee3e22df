import { realClock } from '../platform/clock.ts'
import { messageOf, UsageError } from '../platform/errors.ts'
import type { KubeClient } from '../service/kube/kube-client.ts'
import { parseFlags, usage } from './config.ts'
import { createLog } from '../service/log.ts'
import { startWebhook, type RunningWebhook } from './run.ts'

/**
 * Small buffers are cut from slabs of this size. Node's own of 8 KiB hold two patches, and a new slab
 * for every second review is a measurable part of its time.
 */
Buffer.poolSize = 65_536

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(usage())
    return
  }
  const config = parseFlags(argv)
  const log = createLog(config['log-level'])
  // Before anything is awaited: as process 1 of a container, nothing else would end it.
  const started: { webhook?: RunningWebhook } = {}
  let stopping = false
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(1) // a second signal does not wait
    stopping = true
    await started.webhook?.stop()
    log.flush()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop())

  const kube = config.objects === undefined ? await connect() : undefined
  started.webhook = await startWebhook(config, { clock: realClock, random: Math.random, log, kube })
}

/** Loaded only where there is a cluster: the library takes most of the start and of the memory. */
async function connect(): Promise<KubeClient> {
  const { createKubeClient, loadKubeConfig } = await import('../service/kube/kube.ts')
  return createKubeClient(loadKubeConfig())
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(error instanceof UsageError ? 2 : 1)
}
