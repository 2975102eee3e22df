import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { realClock } from '../../shared/base/clock.ts'
import { CommandError, type Environment } from '../support/command.ts'

const DEFAULT_GRACE_MS = 15_000
const LAST_LINES = 15

/** A program that runs beside us. */
export interface Running {
  /** Processor time that it has used so far, user and system, in milliseconds; a whole number of 10. */
  cpuMs(): Promise<number>
  /** True until it has ended, for whatever reason. */
  isRunning(): boolean
  /** What it printed at last; for errors. */
  lastLines(): Promise<string>
  /** Ends it: SIGTERM, and after the grace SIGKILL. No error if it has ended already. */
  stop(): Promise<void>
}

export interface ProgramOptions {
  readonly env?: Environment
  /** File that gets everything it prints. */
  readonly log: string
  /** How long it may take to exit; default: 15 s. */
  readonly graceMs?: number
}

/**
 * Starts a program. It is ended by the kernel if we are, in whatever way (setpriv, of util-linux).
 *
 * @throws CommandError if it cannot be started
 */
export async function startProgram(
  command: string,
  args: readonly string[],
  { env = {}, log, graceMs = DEFAULT_GRACE_MS }: ProgramOptions,
): Promise<Running> {
  const file = await open(log, 'a')
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    env: { ...env },
    stdio: ['ignore', file.fd, file.fd],
  })
  const ended = once(child, 'exit')
  ended.catch(() => undefined) // a program that cannot be started is reported below
  const spawned = new Promise((resolve, reject) => {
    child.on('spawn', resolve).on('error', (error) => {
      reject(new CommandError(command, `cannot be started: ${error.message}`, ''))
    })
  })
  await spawned.finally(() => file.close())
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null
  return {
    isRunning,
    cpuMs: async () => cpuMsOf(await readFile(`/proc/${child.pid}/stat`, 'utf8')),
    lastLines: async () =>
      (await readFile(log, 'utf8')).trim().split('\n').slice(-LAST_LINES).join('\n'),
    async stop() {
      if (!isRunning()) return
      child.kill('SIGTERM')
      const cancel = realClock.after(graceMs, () => child.kill('SIGKILL'))
      await ended
      cancel()
    },
  }
}

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICK_MS = 10

/**
 * utime and stime of a process. Source: Linux, proc(5), /proc/pid/stat, fields 14 and 15.
 *
 * @throws Error if the text is not of that form
 */
export function cpuMsOf(stat: string): number {
  // The second field, the program's name in parentheses, may hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  if (!Number.isInteger(ticks)) throw new Error(`/proc/pid/stat is ${stat}`)
  return ticks * TICK_MS
}
