import { mkdir, statfs } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { NocredsError } from '../../shared/base/errors.ts'
import { run, show, tryRun, type CommandOptions, type Environment } from './command.ts'
import { progressTo, type Progress } from './progress.ts'

/** Something that the machine lacks; the message says what, and what to do about it, in one line. */
export class MachineError extends NocredsError<'ERR_MACHINE'> {
  constructor(message: string) {
    super('ERR_MACHINE', message)
  }
}

type Options = Omit<CommandOptions, 'env' | 'signal'>

/** The machine that the suite runs on: its programs, its environment, and the cache. */
export interface Host {
  readonly env: Environment
  /** Everything that is made once for many runs; outside the checkout. */
  readonly cache: string
  readonly progress: Progress
  readonly isRoot: boolean
  /** Runs a program in the host's environment; see `run`. */
  run(command: string, args: readonly string[], options?: Options): Promise<string>
  /** The same, but undefined if it fails. */
  tryRun(command: string, args: readonly string[], options?: Options): Promise<string | undefined>
  /** Runs a program at the terminal; see `show`. */
  show(command: string, args: readonly string[], options?: Pick<Options, 'cwd'>): Promise<number>
  /** This host with variables set; PATH, if given, goes before the present one. */
  with(env: Environment): Host
}

/**
 * @param env of the process; `NOCREDS_E2E_CACHE` names the cache
 * @param signal ends every program that runs for this host
 */
export function hostOf(
  env: Environment,
  write: (line: string) => void,
  signal?: AbortSignal,
): Host {
  const cache = env['NOCREDS_E2E_CACHE'] ?? join(homedir(), '.cache', 'nocreds-e2e')
  const isRoot = process.getuid?.() === 0
  return makeHost({ env, cache, isRoot, progress: progressTo(write) }, signal)
}

type Facts = Pick<Host, 'env' | 'cache' | 'isRoot' | 'progress'>

function makeHost(facts: Facts, signal: AbortSignal | undefined): Host {
  const { env } = facts
  return {
    ...facts,
    run: (command, args, options = {}) => run(command, args, { ...options, env, signal }),
    tryRun: (command, args, options = {}) => tryRun(command, args, { ...options, env, signal }),
    show: (command, args, options = {}) => show(command, args, { ...options, env, signal }),
    with: (more) => {
      const path = [more['PATH'], env['PATH']].filter((one) => one !== undefined).join(':')
      return makeHost({ ...facts, env: { ...env, ...more, PATH: path } }, signal)
    },
  }
}

/** @throws MachineError if fewer gigabytes than needed are free in the cache's file system */
export async function needDisk({ cache }: Host, gigabytes: number): Promise<void> {
  await mkdir(cache, { recursive: true })
  const { bavail, bsize } = await statfs(cache)
  const free = (bavail * bsize) / 1e9
  if (free >= gigabytes) return
  throw new MachineError(
    `${cache} has ${free.toFixed(1)} GB free; ${gigabytes} GB are needed. Free some, or name another folder with NOCREDS_E2E_CACHE`,
  )
}
