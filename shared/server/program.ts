import { messageOf, UsageError } from '../base/errors.ts'
import type { LogLevel } from '../base/log.ts'
import { createLog, type FlushingLogger } from './log.ts'

/** A server program: its flags and how it starts. */
export interface Program<Config> {
  usage(): string
  /** @throws UsageError */
  parseFlags(argv: readonly string[]): Config
  start(config: Config, log: FlushingLogger): Promise<{ stop(): Promise<void> }>
}

/**
 * Runs it as process 1 of a container: `--help`, exit code 2 for invalid flags and 1 for any other error at startup,
 * and a graceful stop on SIGTERM or SIGINT; a second signal exits immediately.
 */
export async function runProgram<Config extends { readonly 'log-level': LogLevel }>(
  program: Program<Config>,
): Promise<void> {
  try {
    await run(program, process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exit(error instanceof UsageError ? 2 : 1)
  }
}

async function run<Config extends { readonly 'log-level': LogLevel }>(
  program: Program<Config>,
  argv: readonly string[],
): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(program.usage())
    return
  }
  const config = program.parseFlags(argv)
  const log = createLog(config['log-level'])
  // Before anything is awaited: without handlers, signals do not stop process 1 of a container.
  const started: { server?: { stop(): Promise<void> } } = {}
  let stopping = false
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(1)
    stopping = true
    await started.server?.stop()
    log.flush()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop())
  started.server = await program.start(config, log)
}
