import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { realClock } from '../../platform/clock.ts'
import { CommandError, type Environment } from '../support/command.ts'

/** Programs have this long to end by themselves. */
const GRACE_MS = 15_000
const LAST_LINES = 15

/** A program that runs beside us. */
export interface Running {
  /** True until it has ended, by itself or not. */
  isRunning(): boolean
  /** What it printed at last; for errors. */
  lastLines(): Promise<string>
  /** Ends it: SIGTERM, and after 15 s SIGKILL. No error if it has ended already. */
  stop(): Promise<void>
}

export interface ProgramOptions {
  readonly env?: Environment
  /** File that gets everything it prints. */
  readonly log: string
}

/**
 * Starts a program. It is ended by the kernel if we are, in whatever way (setpriv, of util-linux).
 *
 * @throws CommandError if it cannot be started
 */
export async function startProgram(
  command: string,
  args: readonly string[],
  { env = {}, log }: ProgramOptions,
): Promise<Running> {
  const file = await open(log, 'a')
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    env: { ...env },
    stdio: ['ignore', file.fd, file.fd],
  })
  const ended = once(child, 'exit')
  ended.catch(() => undefined) // a program that cannot be started is reported below
  await new Promise((resolve, reject) => {
    child.on('spawn', resolve).on('error', (error) => {
      reject(new CommandError(command, `cannot be started: ${error.message}`, ''))
    })
  })
  await file.close()
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null
  return {
    isRunning,
    lastLines: async () =>
      (await readFile(log, 'utf8')).trim().split('\n').slice(-LAST_LINES).join('\n'),
    async stop() {
      if (!isRunning()) return
      child.kill('SIGTERM')
      const cancel = realClock.after(GRACE_MS, () => child.kill('SIGKILL'))
      await ended
      cancel()
    },
  }
}
