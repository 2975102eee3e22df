import { mkdir, statfs } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { NocredsError } from '../../platform/errors.ts'
import { run, tryRun, type CommandOptions, type Environment } from './command.ts'
import { progressTo, type Progress } from './progress.ts'

/** Something that the machine lacks; the message says what, and what to do about it, in one line. */
export class MachineError extends NocredsError<'ERR_MACHINE'> {
  constructor(message: string) {
    super('ERR_MACHINE', message)
  }
}

type Options = Omit<CommandOptions, 'env'>

/** The machine that the suite runs on: its programs, its environment, and the cache. */
export interface Host {
  readonly env: Environment
  /** Everything that is made once for many runs; outside the checkout. */
  readonly cache: string
  readonly progress: Progress
  /** Runs a program in the host's environment; see `run`. */
  run(command: string, args: readonly string[], options?: Options): Promise<string>
  /** The same, but undefined where it fails. */
  tryRun(command: string, args: readonly string[], options?: Options): Promise<string | undefined>
  /** This host with variables set; PATH, where given, goes before the present one. */
  with(env: Environment): Host
}

/** @param env of the process; `NOCREDS_E2E_CACHE` names the cache */
export function hostOf(env: Environment, write: (line: string) => void): Host {
  const cache = env['NOCREDS_E2E_CACHE'] ?? join(homedir(), '.cache', 'nocreds-e2e')
  return makeHost(env, cache, progressTo(write))
}

function makeHost(env: Environment, cache: string, progress: Progress): Host {
  return {
    env,
    cache,
    progress,
    run: (command, args, options = {}) => run(command, args, { ...options, env }),
    tryRun: (command, args, options = {}) => tryRun(command, args, { ...options, env }),
    with: (more) => {
      const path = [more['PATH'], env['PATH']].filter((one) => one !== undefined).join(':')
      return makeHost({ ...env, ...more, PATH: path }, cache, progress)
    },
  }
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** @throws MachineError where fewer gigabytes than needed are free in the cache's file system */
export async function needDisk({ cache }: Host, gigabytes: number): Promise<void> {
  await mkdir(cache, { recursive: true })
  const { bavail, bsize } = await statfs(cache)
  const free = (bavail * bsize) / 1e9
  if (free >= gigabytes) return
  throw new MachineError(
    `${cache} has ${free.toFixed(1)} GB free; ${gigabytes} GB are needed. Free some, or name another folder with NOCREDS_E2E_CACHE`,
  )
}
