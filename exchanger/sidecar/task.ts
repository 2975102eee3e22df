import { stat } from 'node:fs/promises'
import type { Clock, Random } from '../../shared/base/clock.ts'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { SidecarError } from '../failure.ts'
import type { ChildCommand } from './child.ts'
import type { Refresher } from './refresher.ts'

export interface SidecarDeps {
  readonly clock: Clock
  readonly random: Random
  readonly randomBytes: (size: number) => Buffer
  /** Logs with namespace and ServiceAccount, and with the role if there is one. */
  readonly log: (role?: string) => Logger
  /** Runs one exchange with STS. */
  readonly exchange: ChildCommand
  /** Sends one request to the authority. */
  readonly certificate: ChildCommand
  readonly endpointPort: number
  /** The file in which it says why it gives up; the gate reads it. */
  readonly terminationMessageFile: string
  /** Returns unused memory to the system; takes some milliseconds. */
  readonly releaseMemory: () => void
  /** Stops the sidecar. */
  readonly signal: AbortSignal
}

/** What a task gets in addition. */
export interface TaskDeps extends SidecarDeps {
  /**
   * Runs a child while no other one runs, so that the container's peak memory is never that of two: with some 26 MiB
   * for the resident process and one child, 11 for the gate and 16 for another child the limit of 64Mi would be near.
   * With eight roles, the most, the last one waits for seven exchanges, a second or two; if STS is so slow that its
   * 30 s are over first, the container is restarted, and the roles that have credentials by then do not ask again.
   */
  readonly exclusive: <T>(child: () => Promise<T>) => Promise<T>
  readonly onGiveUp: (error: SidecarError) => void
  /** See gate-mark.ts. */
  readonly hasGateOpened: boolean
}

/** Keeps one item of the sidecar fresh. */
export interface RefreshTask {
  /** What is missing until its gate opens: `exchange of arn:…`. */
  readonly wanted: string
  readonly refresher: Refresher<unknown>
  /** Stops everything of the task except its refresher. */
  close(): void
}

/** Waits until something is prepared in the folder. @throws NocredsError: its own, or ERR_SIDECAR_START */
export async function opened<T>(
  opening: Promise<T>,
  { wanted, folder }: { readonly wanted: string; readonly folder: string },
): Promise<T> {
  try {
    return await opening
  } catch (error) {
    if (error instanceof NocredsError) throw error // the endpoint's own
    const cause = codeOf(error) ?? messageOf(error)
    throw new NocredsError(
      'ERR_SIDECAR_START',
      `no ${wanted}: the folder ${folder} cannot be used: ${cause}`,
    )
  }
}

/** By then the result of an exchange is published, and nothing waits for the few milliseconds. */
const RELEASE_AFTER_MS = 100

/** Runs a child while no other one runs, and releases memory afterwards. */
export function runExclusively<T>(
  { clock, exclusive, releaseMemory }: TaskDeps,
  child: () => Promise<T>,
): Promise<T> {
  return exclusive(() => child().finally(() => clock.after(RELEASE_AFTER_MS, releaseMemory)))
}

/**
 * Identifies the file at the path; undefined if absent. The kubelet's atomic writer points the path to a new file
 * each time.
 */
export async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeMs } = await stat(path)
    return `${dev}:${ino}:${size}:${mtimeMs}`
  } catch {
    return undefined
  }
}
