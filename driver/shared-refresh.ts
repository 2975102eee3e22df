import { SidecarError } from '../exchanger/failure.ts'
import type { Store } from '../exchanger/publish/store.ts'
import { Refresher } from '../exchanger/sidecar/refresher.ts'
import type { Renewable } from '../exchanger/sidecar/renewable.ts'
import { GATE_MS } from '../exchanger/sidecar/schedule.ts'
import type { Clock, Random } from '../shared/base/clock.ts'
import type { Logger } from '../shared/base/log.ts'

/** A refusal is repeated for so long before STS is asked again: kubelets retry several times a second at first. */
const REMEMBER_REFUSAL_MS = 10_000
/** A failed exchange is tried again for a pod that has nothing yet, but no sooner than this. */
const HURRIED_RETRY_MS = 5000

/** A ServiceAccount token as the kubelet hands it over. */
export interface KubeletToken {
  /** The secret itself. */
  readonly jwt: string
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number
}

export interface SharedRefreshDeps<Item> {
  readonly renewable: Renewable<Item>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** What is wanted for whom, as messages say it after "no": `exchange of arn:… for ServiceAccount team-a/app`. */
  readonly wanted: string
  /** One exchange of the token, which ends when the signal says so. @throws SidecarError */
  readonly exchange: (token: KubeletToken, signal: AbortSignal) => Promise<Item>
  /** A pod's folder could not be written; it has the former item, or none. */
  readonly onUnwritten: (uid: string, error: unknown) => void
}

/** A pod that is to have the item. */
export interface Member<Item> {
  /** Uid of the pod. */
  readonly uid: string
  readonly store: Store<Item>
  readonly token: KubeletToken
  /** The pod runs already: it gets the item when there is one, and nobody waits for that. */
  readonly isServed: boolean
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/**
 * One item, credentials or a certificate, for all pods of this node that want the same: one exchange serves them
 * all, and each has it in its own folder. Schedule, last good item and withdrawal are those of the sidecar.
 *
 * What an earlier process left in a pod's folder stays that pod's own. It tells when to exchange again, and nothing
 * more: no other pod gets it.
 */
export class SharedRefresh<Item> {
  readonly #deps: SharedRefreshDeps<Item>
  /** Folders by the uid of the pod. */
  readonly #members = new Map<string, Store<Item>>()
  readonly #waiting = new Map<string, Waiting>()
  /** That that expires last: the tokens of pods that are gone expire soon. */
  #token: KubeletToken | undefined
  /** From an exchange that this process made. */
  #own: Item | undefined
  #refresher: Refresher<Item> | undefined
  #refusal: { readonly error: SidecarError; readonly untilMs: number } | undefined

  constructor(deps: SharedRefreshDeps<Item>) {
    this.#deps = deps
  }

  /** Whether nothing is lost by forgetting all of this. */
  get isIdle(): boolean {
    return this.#members.size === 0 && this.#remembered() === undefined
  }

  /**
   * Gives a pod the item and keeps it fresh in the pod's folder. Resolves once it is there; called again for
   * the same pod it takes the newer token and writes what is missing.
   *
   * @throws SidecarError if STS refuses, or gives none within 30 s; the pod is then no member
   */
  async join({ uid, store, token, isServed }: Member<Item>): Promise<void> {
    const isNew = !this.#members.has(uid)
    this.#members.set(uid, store)
    if (isNewer(token, this.#token)) this.#token = token
    if (this.#own !== undefined) {
      await this.#publishTo(uid, store, this.#own)
      return
    }
    const found = store.current()
    if (found !== undefined) {
      this.#keepFresh()
      if (isNew) this.#refreshInTime(found)
      return
    }
    const refusal = this.#remembered()
    if (isServed) {
      if (refusal === undefined) this.#hurry()
      return
    }
    if (refusal !== undefined) {
      this.#members.delete(uid)
      throw refusal
    }
    await this.#first(uid)
  }

  /** Changes what each pod has, without another exchange. Failures are those of {@link join}'s writing. */
  async amend(change: (item: Item) => Item): Promise<void> {
    if (this.#own !== undefined) this.#own = change(this.#own)
    const own = this.#own
    const each = [...this.#members].map(async ([uid, store]) => {
      const found = store.current()
      const item = own ?? (found === undefined ? undefined : change(found))
      if (item !== undefined) await this.#publishTo(uid, store, item)
    })
    await Promise.allSettled(each)
  }

  /** Forgets the pod; the last one that leaves ends the refreshing. */
  leave(uid: string): void {
    this.#members.delete(uid)
    this.#settle(uid, (waiting) => {
      waiting.reject(this.#error('Stopped', 'the pod is gone'))
    })
    if (this.#members.size === 0) this.stop()
  }

  /** Ends timers and the exchange under way. */
  stop(): void {
    this.#refresher?.stop()
    this.#refresher = undefined
    this.#own = undefined
    this.#token = undefined
  }

  /** The first item of a pod that has none: now, not when that of the others is due. */
  #first(uid: string): Promise<void> {
    const { clock } = this.#deps
    const first = new Promise<void>((resolve, reject) => {
      const cancel = clock.after(GATE_MS, () => {
        const error = this.#refresher?.lastFailure
        this.#fail(uid, error ?? this.#error('ExchangeTimeout', `none in ${GATE_MS / 1000} s`))
      })
      this.#waiting.set(uid, {
        resolve: () => {
          cancel()
          resolve()
        },
        reject: (error) => {
          cancel()
          reject(error)
        },
      })
    })
    this.#hurry()
    return first
  }

  #hurry(): void {
    this.#keepFresh()
    const failed = this.#refresher?.lastFailure !== undefined
    this.#refresher?.bringForward(failed ? HURRIED_RETRY_MS : 0)
  }

  #refreshInTime(found: Item): void {
    const { renewable, clock, random } = this.#deps
    const goodForMs = Math.max(1, renewable.expiresAtMsOf(found) - clock.now())
    this.#refresher?.bringForward(renewable.resumeDelayMs(found, goodForMs, random))
  }

  #keepFresh(): void {
    if (this.#refresher !== undefined) return
    const { renewable, clock, random, log, wanted } = this.#deps
    this.#refresher = new Refresher({
      renewable,
      wanted,
      clock,
      random,
      log,
      store: this.#everyFolder(),
      exchange: (signal) => this.#exchange(signal),
      tokenVersion: () => Promise.resolve(String(this.#token?.expiresAtMs)),
      onGiveUp: (error) => {
        this.#refresher = undefined
        this.#failAll(error)
      },
    })
    this.#refresher.start()
  }

  async #exchange(signal: AbortSignal): Promise<Item> {
    try {
      if (this.#token === undefined) throw this.#error('TokenMissing', 'there is no token')
      return await this.#deps.exchange(this.#token, signal)
    } catch (error) {
      // If others have something, the refresher goes on; a pod that has nothing is told at once.
      if (error instanceof SidecarError && error.failureClass === 'refused') this.#failAll(error)
      throw error
    }
  }

  /** What the refresher publishes into: the folders of all pods. */
  #everyFolder(): Store<Item> {
    return {
      current: () => this.#own ?? this.#found(),
      publish: async (item) => {
        this.#own = item
        const each = [...this.#members].map(([uid, store]) => this.#publishTo(uid, store, item))
        await Promise.allSettled(each)
      },
      withdraw: async (item) => {
        if (this.#own === item) this.#own = undefined
        const { renewable } = this.#deps
        const each = [...this.#members.values()].map(async (store) => {
          const present = store.current()
          const isExpired =
            present !== undefined &&
            renewable.expiresAtMsOf(present) <= renewable.expiresAtMsOf(item)
          if (isExpired) await store.withdraw(present)
        })
        await Promise.all(each)
      },
    }
  }

  /** Of what an earlier process left, that which ends first. */
  #found(): Item | undefined {
    const { renewable } = this.#deps
    const found = [...this.#members.values()].flatMap((store) => store.current() ?? [])
    return found.toSorted(
      (one, other) => renewable.expiresAtMsOf(one) - renewable.expiresAtMsOf(other),
    )[0]
  }

  /** One pod's folder that cannot be written is that pod's trouble alone. */
  async #publishTo(uid: string, store: Store<Item>, item: Item): Promise<void> {
    try {
      if (store.current() !== item) await store.publish(item)
      this.#settle(uid, ({ resolve }) => {
        resolve()
      })
    } catch (error) {
      this.#deps.onUnwritten(uid, error)
      this.#settle(uid, ({ reject }) => {
        reject(error as Error)
      })
      throw error
    }
  }

  #failAll(error: SidecarError): void {
    this.#refusal = { error, untilMs: this.#deps.clock.monotonic() + REMEMBER_REFUSAL_MS }
    for (const uid of [...this.#waiting.keys()]) this.#fail(uid, error)
  }

  #fail(uid: string, error: Error): void {
    this.#members.delete(uid)
    this.#settle(uid, ({ reject }) => {
      reject(error)
    })
    if (this.#members.size === 0) this.stop()
  }

  #settle(uid: string, how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(uid)
    this.#waiting.delete(uid)
    if (waiting !== undefined) how(waiting)
  }

  #remembered(): SidecarError | undefined {
    const { error, untilMs } = this.#refusal ?? {}
    return untilMs !== undefined && this.#deps.clock.monotonic() < untilMs ? error : undefined
  }

  #error(code: string, text: string): SidecarError {
    return new SidecarError('transient', code, `no ${this.#deps.wanted}: ${text}`)
  }
}

function isNewer(token: KubeletToken, than: KubeletToken | undefined): boolean {
  return than === undefined || token.expiresAtMs >= than.expiresAtMs
}
