import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import { renderSessionName } from '../../contract/session-name.ts'
import type { Lend } from '../../exchanger/credentials/exchange.ts'
import type { Session } from '../../exchanger/credentials/session.ts'
import { deadlineIn, remainingMs, type Deadline } from '../../exchanger/sidecar/deadline.ts'
import type { Clock } from '../../shared/base/clock.ts'

/** A session with less left is made again: the request that it signs may take a while, and clocks differ. */
const MIN_LENT_MS = 5 * 60_000
/** So many are kept, some 2 KiB each; one that is forgotten is made again. */
const MAX_KEPT = 256

interface Kept {
  readonly session: Promise<Session>
  /** Until when it is lent; undefined while it is being made. */
  until: Deadline | undefined
}

/**
 * Sessions of first roles, which sign requests for target roles. Pods of one ServiceAccount that start together need
 * one, even if each has a target session of its own. Nothing of it is published.
 */
export class FirstSessions {
  readonly #clock: Clock
  /** The oldest comes first. */
  readonly #kept = new Map<string, Kept>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many are kept or being made. */
  get size(): number {
    return this.#kept.size
  }

  /**
   * Lends the session of this ServiceAccount. It is made if there is none, once for all that ask meanwhile, and forgotten
   * after a step that failed, its own or one that used it.
   *
   * @param serviceAccountUid one that was deleted and made again is another ServiceAccount, whatever its name
   */
  lendFor(config: ExchangeConfig, serviceAccountUid: string): Lend {
    const key = keyOf(config, serviceAccountUid)
    return async (make, use) => {
      this.#removeOld()
      const kept = this.#kept.get(key) ?? this.#keep(key, make)
      try {
        return await use(await kept.session)
      } catch (error) {
        if (this.#kept.get(key) === kept) this.#kept.delete(key)
        throw error
      }
    }
  }

  #keep(key: string, make: () => Promise<Session>): Kept {
    const clock = this.#clock
    const session = make().then((made) => {
      kept.until = deadlineIn(clock, made.expiresAtMs - clock.now() - MIN_LENT_MS)
      return made
    })
    const kept: Kept = { session, until: undefined }
    this.#kept.set(key, kept)
    return kept
  }

  #removeOld(): void {
    for (const [key, { until }] of this.#kept) {
      const isOld = until !== undefined && remainingMs(this.#clock, until) <= 0
      if (isOld || this.#kept.size > MAX_KEPT) this.#kept.delete(key)
    }
  }
}

/** The same for pods that may share a session: all that the first step depends on. */
function keyOf(config: ExchangeConfig, serviceAccountUid: string): string {
  const { namespace, serviceAccount, pod, roleArn, sessionName, audience, region } = config
  const name = renderSessionName(sessionName, { namespace, serviceaccount: serviceAccount, pod })
  return JSON.stringify([
    namespace,
    serviceAccount,
    serviceAccountUid,
    roleArn,
    name,
    audience,
    region ?? '',
  ])
}
