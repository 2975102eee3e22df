import { SidecarError } from '../exchanger/failure.ts'
import type { Store } from '../exchanger/publish/store.ts'
import { Refresher } from '../exchanger/sidecar/refresher.ts'
import type { Renewable } from '../exchanger/sidecar/renewable.ts'
import { GATE_MS } from '../exchanger/sidecar/schedule.ts'
import type { Clock, Random } from '../shared/base/clock.ts'
import type { Logger } from '../shared/base/log.ts'
import { Members } from './members.ts'
import type { PodToken } from './pod-tokens.ts'
import { Waiting } from './waiting.ts'

/** A refusal is repeated for so long before STS is asked again: kubelets retry several times a second at first. */
const REMEMBER_REFUSAL_MS = 10_000
/** A failed exchange is tried again for a pod that has nothing yet, but no sooner than this. */
const HURRIED_RETRY_MS = 5000

export interface SharedRefreshDeps<Item> {
  readonly renewable: Renewable<Item>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** What is wanted for whom, as messages say it after "no": `exchange of arn:… for ServiceAccount team-a/app`. */
  readonly wanted: string
  /** One exchange of the token, which ends when the signal says so. @throws SidecarError */
  readonly exchange: (token: PodToken, signal: AbortSignal) => Promise<Item>
  /** A pod's folder could not be written; it has the former item, or none. */
  readonly onUnwritten: (uid: string, error: unknown) => void
}

/** A pod that is to have the item. */
export interface Member<Item> {
  /** Uid of the pod. */
  readonly uid: string
  readonly store: Store<Item>
  readonly token: PodToken
  /** The pod runs already: it gets the item when there is one, and nobody waits for that. */
  readonly isServed: boolean
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
  readonly #members: Members<Item>
  readonly #waiting: Waiting
  /** That that expires last: the tokens of pods that are gone expire soon. */
  #token: PodToken | undefined
  /** From an exchange that this process made. */
  #own: Item | undefined
  #refresher: Refresher<Item> | undefined
  #refusal: { readonly error: SidecarError; readonly untilMs: number } | undefined

  constructor(deps: SharedRefreshDeps<Item>) {
    this.#deps = deps
    this.#waiting = new Waiting(deps.clock)
    this.#members = new Members({
      ...deps,
      onWritten: (uid) => {
        this.#waiting.succeed(uid)
      },
      onUnwritten: (uid, error) => {
        this.#waiting.fail(uid, error as Error)
        deps.onUnwritten(uid, error)
      },
    })
  }

  /** Whether nothing is lost by forgetting all of this. */
  get isIdle(): boolean {
    return this.#members.isEmpty && this.#remembered() === undefined
  }

  /**
   * Gives a pod the item and keeps it fresh in the pod's folder, as long as the pod's own token is good. Resolves
   * once it is there; called again for the same pod it takes the newer token and writes what is missing.
   *
   * @throws SidecarError if STS refuses, or gives none within 30 s; the pod is then no member
   */
  async join({ uid, store, token, isServed }: Member<Item>): Promise<void> {
    const isNew = !this.#members.has(uid)
    this.#members.add(uid, store, token.expiresAtMs)
    if (isNewer(token, this.#token)) this.#token = token
    if (this.#own !== undefined) {
      await this.#members.publishTo(uid, store, this.#own)
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
      this.#members.remove(uid)
      throw refusal
    }
    await this.#first(uid)
  }

  /** Changes what each pod has, without another exchange. Failures are those of {@link join}'s writing. */
  async amend(change: (item: Item) => Item): Promise<void> {
    if (this.#own !== undefined) this.#own = change(this.#own)
    const own = this.#own
    await this.#members.replace((found) => own ?? (found === undefined ? undefined : change(found)))
  }

  /** Forgets the pod; the last one that leaves ends the refreshing. */
  leave(uid: string): void {
    this.#remove(uid, this.#error('Stopped', 'the pod is gone'))
  }

  /** Ends timers and the exchange under way. */
  stop(): void {
    this.#members.stop()
    this.#stopRefreshing()
  }

  /** The first item of a pod that has none: now, not when that of the others is due. */
  #first(uid: string): Promise<void> {
    const first = this.#waiting.wait(uid, GATE_MS, () => {
      const error = this.#refresher?.lastFailure
      this.#remove(uid, error ?? this.#error('ExchangeTimeout', `none in ${GATE_MS / 1000} s`))
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
      current: () => this.#own ?? this.#members.firstToExpire(),
      publish: async (item) => {
        this.#own = item
        await this.#members.publish(item)
        if (!this.#members.hasAny) this.#stopRefreshing()
      },
      withdraw: async (item) => {
        if (this.#own === item) this.#own = undefined
        await this.#members.withdraw(item)
      },
    }
  }

  #failAll(error: SidecarError): void {
    this.#refusal = { error, untilMs: this.#deps.clock.monotonic() + REMEMBER_REFUSAL_MS }
    for (const uid of this.#waiting.uids()) this.#remove(uid, error)
  }

  /** @param why what the pod is told if it waits */
  #remove(uid: string, why: Error): void {
    this.#members.remove(uid)
    this.#waiting.fail(uid, why)
    if (!this.#members.hasAny) this.#stopRefreshing()
  }

  #stopRefreshing(): void {
    this.#refresher?.stop()
    this.#refresher = undefined
    this.#own = undefined
    this.#token = undefined
  }

  #remembered(): SidecarError | undefined {
    const { error, untilMs } = this.#refusal ?? {}
    return untilMs !== undefined && this.#deps.clock.monotonic() < untilMs ? error : undefined
  }

  #error(code: string, text: string): SidecarError {
    return new SidecarError('transient', code, `no ${this.#deps.wanted}: ${text}`)
  }
}

function isNewer(token: PodToken, than: PodToken | undefined): boolean {
  return than === undefined || token.expiresAtMs >= than.expiresAtMs
}
