import { sleepUnless, type Clock } from '../base/clock.ts'
import { messageOf, NocredsError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { KubeClient } from './kube/kube-client.ts'
import { readSharedSecret, type SecretKeys } from './shared-secret.ts'

/** Where a rotation keeps its state, and how it decides. `State`: the Secret's data, decoded. */
interface Rotation<State, Step extends string> {
  readonly kube: KubeClient
  /** Path of the Secret that the replicas share. */
  readonly path: string
  readonly keys: SecretKeys<State>
  /** The step that is due; the same for each replica that reads the same Secret at the same time. */
  readonly nextStep: (state: State | undefined, nowMs: number) => Step | 'up-to-date'
  /** The state after one step. */
  readonly applyStep: (step: Step, state: State | undefined, nowMs: number) => Promise<State>
}

/** How a Secret is checked, and what is logged of it. */
interface Checking {
  /** How long one step must be visible before the next, in milliseconds. */
  readonly overlapMs: number
  readonly messages: {
    /** After each step. */
    readonly applied: string
    /** After each check that failed. */
    readonly failed: string
  }
  readonly clock: Clock
  readonly log: Logger
}

export interface RotatingSecretOptions<State, Step extends string, Active>
  extends Rotation<State, Step>, Checking {
  /** What is used from now on; `before`, the same object, if nothing changed. */
  readonly activate: (state: State, before: Active | undefined) => Promise<Active>
  /** Called after the listeners, to log what is used now. */
  readonly onActivated: (active: Active) => void
}

/** A Secret that is read regularly, and what is made of it. */
export interface RotatingSecret<Active> {
  /** Undefined until the first check that succeeds. */
  readonly current: () => Active | undefined
  /** Calls the listener with each one that differs from the one before. */
  onChange(listener: (active: Active) => void): void
  /** Resolves with the first one. */
  start(): Promise<Active>
  /** Reads the Secret now, in addition to the regular checks. @throws NocredsError */
  check(): Promise<void>
  stop(): void
}

/** How often the Secret is read, at most. */
export const CHECK_MS = 60_000
/** Several checks fit into the overlap, so that each replica has seen a step before the next one. */
export const CHECKS_PER_OVERLAP = 5
/** Until the next check after a failure, at most. */
const RETRY_MS = 2000
/** A reset needs one step and one check more; what is left is for races that other replicas win. */
const MAX_STEPS_PER_CHECK = 5

/**
 * Keeps what replicas share in one Secret up to date. The first replica to write wins, so there is no leader
 * election. While the apiserver is unreachable, the active one stays in use.
 */
export function createRotatingSecret<State extends Texts<State>, Step extends string, Active>(
  options: RotatingSecretOptions<State, Step, Active>,
): RotatingSecret<Active> {
  const listeners: ((active: Active) => void)[] = []
  const first = Promise.withResolvers<Active>()
  const stopping = new AbortController()
  let current: Active | undefined

  const check = async (): Promise<void> => {
    const next = await options.activate(await converge(options), current)
    if (next === current) return
    current = next
    first.resolve(next)
    for (const listener of listeners) listener(next)
    options.onActivated(next)
  }

  return {
    current: () => current,
    onChange(listener) {
      listeners.push(listener)
    },
    start() {
      void checkRegularly(check, options, stopping.signal)
      return first.promise
    },
    check,
    stop() {
      stopping.abort()
    },
  }
}

/** Calls `check` until the signal is aborted; sooner after a failure. */
async function checkRegularly(
  check: () => Promise<void>,
  { overlapMs, messages, clock, log }: Checking,
  signal: AbortSignal,
): Promise<void> {
  const checkMs = Math.min(CHECK_MS, overlapMs / CHECKS_PER_OVERLAP)
  while (!signal.aborted) {
    let pauseMs = checkMs
    try {
      await check()
    } catch (error) {
      pauseMs = Math.min(RETRY_MS, checkMs)
      log.warn({ error: messageOf(error) }, messages.failed)
    }
    await sleepUnless(clock, pauseMs, signal)
  }
}

/** Every field is text. */
type Texts<State> = { readonly [Field in keyof State]: string }

/**
 * Reads the Secret and applies the steps that are due; if another replica wrote first, its state is used.
 *
 * @throws NocredsError `ERR_ROTATION_UNSTABLE`, and as readSharedSecret does
 */
async function converge<State extends Texts<State>, Step extends string>({
  kube,
  path,
  keys,
  messages,
  clock,
  log,
  ...rotation
}: Rotation<State, Step> & Checking): Promise<State> {
  for (let count = 0; count < MAX_STEPS_PER_CHECK; count += 1) {
    const stored = await readSharedSecret(kube, path, keys)
    const nowMs = clock.now()
    const step = rotation.nextStep(stored.state, nowMs)
    if (step !== 'up-to-date') {
      const next = await rotation.applyStep(step, stored.state, nowMs)
      const wrote = await stored.replace(next)
      log.info({ step, wrote }, messages.applied)
    } else if (stored.state !== undefined) return stored.state
  }
  throw new NocredsError(
    'ERR_ROTATION_UNSTABLE',
    `rotation did not converge in ${MAX_STEPS_PER_CHECK} steps; check the replicas' clocks for skew`,
  )
}
