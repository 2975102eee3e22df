import { stat } from 'node:fs/promises'
import type { Clock, Random } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { SidecarError } from '../failure.ts'
import type { ChildCommand } from './child.ts'
import type { Refresher } from './refresher.ts'

export interface SidecarDeps {
  readonly clock: Clock
  readonly random: Random
  readonly randomBytes: (size: number) => Buffer
  /** Its lines carry namespace and ServiceAccount, and the role where one is given. */
  readonly log: (role?: string) => Logger
  /** One exchange at STS. */
  readonly exchange: ChildCommand
  /** One request to the authority. */
  readonly certify: ChildCommand
  readonly endpointPort: number
  /** Where it says why it gives up; the gate reads it. */
  readonly terminationMessageFile: string
  /** Hands memory that is not needed any more back to the system; takes some milliseconds. */
  readonly releaseMemory: () => void
  /** Ends the resident process. */
  readonly signal: AbortSignal
}

/** What a part of the sidecar gets besides. */
export interface TaskDeps extends SidecarDeps {
  /** Runs a child while no other one runs, so that the container's peak is never that of two. */
  readonly alone: <T>(child: () => Promise<T>) => Promise<T>
  readonly onGiveUp: (error: SidecarError) => void
}

/** One of the things that a sidecar keeps fresh. */
export interface Part {
  /** What there is none of before its gate opens: `exchange of arn:…`. */
  readonly wanted: string
  readonly refresher: Refresher<unknown>
  /** Ends what the part has beside its refresher. */
  close(): void
}

/** By then what came of an exchange is published, and nothing waits for the few milliseconds. */
const RELEASE_AFTER_MS = 100

/** Runs a child in its turn, and has memory released after it. */
export function runExclusively<T>(
  { clock, alone, releaseMemory }: TaskDeps,
  child: () => Promise<T>,
): Promise<T> {
  return alone(() => child().finally(() => clock.after(RELEASE_AFTER_MS, releaseMemory)))
}

/**
 * Changes with each file that stands at the path; undefined where there is none. The kubelet's atomic
 * writer leads the path to a new file each time.
 */
export async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeMs } = await stat(path)
    return `${dev}:${ino}:${size}:${mtimeMs}`
  } catch {
    return undefined
  }
}
