import { realClock } from '../platform/clock.ts'
import { messageOf, UsageError } from '../platform/errors.ts'
import { createKubeClient, loadKubeConfig } from '../service/kube/kube.ts'
import { createLog } from '../service/log.ts'
import { parseFlags, usage } from './config.ts'
import { startAuthority, type RunningAuthority } from './run.ts'

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(usage())
    return
  }
  const config = parseFlags(argv)
  const log = createLog(config['log-level'])
  // Before anything is awaited: as process 1 of a container, nothing else would end it.
  const started: { authority?: RunningAuthority } = {}
  let stopping = false
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(1) // a second signal does not wait
    stopping = true
    await started.authority?.stop()
    log.flush()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop())

  const kube = createKubeClient(loadKubeConfig())
  started.authority = await startAuthority(config, {
    clock: realClock,
    random: Math.random,
    log,
    kube,
  })
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(error instanceof UsageError ? 2 : 1)
}
