import type { Cancel, Clock, Random } from '../../shared/base/clock.ts'
import { codeOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { SidecarError } from '../failure.ts'
import type { Store } from '../publish/store.ts'
import { remainingMs, deadlineIn, type Moment } from './deadline.ts'
import type { Kind } from './renewable.ts'
import { GATE_MS, retryDelayMs } from './schedule.ts'

const LIMITS_MS = {
  /** A timer that sleeps longer would notice a suspend or a clock that was set too late. */
  sleep: 30_000,
  /** How often the token file is looked at while a new token is awaited. */
  tokenLook: 10_000,
  /** An exchange that takes longer is given up. */
  exchange: 30_000,
  /** A wall clock set back by more than this makes the published Expiration too late. */
  setBack: 60_000,
} as const

export interface RefresherDeps<Thing> {
  readonly kind: Kind<Thing>
  /** What is wanted for whom, as messages say it after "no": `exchange of arn:… for ServiceAccount team-a/app`. */
  readonly wanted: string
  readonly clock: Clock
  readonly random: Random
  readonly store: Store<Thing>
  /** Its lines say whose sidecar it is. */
  readonly log: Logger
  /** One exchange, which ends when the signal says so. @throws SidecarError */
  readonly exchange: (signal: AbortSignal) => Promise<Thing>
  /** Changes with each token that the kubelet writes; undefined where there is none. */
  readonly tokenVersion: () => Promise<string | undefined>
  /** Called once where no first one can be had: the process should end and say why. */
  readonly onGiveUp: (error: SidecarError) => void
}

/** An exchange under way. Its limit is gone once it is being published: that is not given up. */
interface Flight {
  readonly abort: AbortController
  limit: Moment | undefined
}

/**
 * Keeps one thing fresh, credentials or a certificate: exchanges the token for a new one well ahead of
 * the end, backs off on failures, keeps the last good one meanwhile and withdraws it at its end. At most
 * one exchange is under way; what comes back from one that was given up is thrown away.
 *
 * Until there is one the gate is shut: a refusal, or 30 s without success, gives up. Once it is open,
 * the refresher goes on for ever.
 */
export class Refresher<Thing> {
  readonly #deps: RefresherDeps<Thing>
  #due: Moment
  /** Of what is published. */
  #end: Moment | undefined
  /** When to give up; undefined once the gate is open. */
  #gate: Moment | undefined
  #failures = 0
  #lastFailure: SidecarError | undefined
  /** The version of the token that failed, while a new one is awaited. */
  #failedToken: { readonly version: string | undefined } | undefined
  #flight: Flight | undefined
  /** Wall clock minus monotonic clock: it changes only when someone sets the one. */
  #offsetMs: number
  #cancelTimer: Cancel = () => undefined
  #isStopped = false

  constructor(deps: RefresherDeps<Thing>) {
    const { clock } = deps
    this.#deps = deps
    this.#due = deadlineIn(clock, 0)
    this.#gate = deadlineIn(clock, GATE_MS)
    this.#offsetMs = clock.now() - clock.monotonic()
  }

  /** True until there is something to serve, from an exchange or from before a restart. */
  get isGateShut(): boolean {
    return this.#gate !== undefined
  }

  /** The last failure since the last success. */
  get lastFailure(): SidecarError | undefined {
    return this.#lastFailure
  }

  start(): void {
    const { kind, store, clock, random } = this.#deps
    const found = store.current()
    if (found !== undefined) {
      const goodForMs = kind.endOf(found) - clock.now()
      const delayMs = goodForMs > 0 ? kind.resumeDelayMs(found, goodForMs, random) : 0
      this.#gate = undefined
      this.#end = deadlineIn(clock, goodForMs)
      this.#due = deadlineIn(clock, delayMs)
    }
    this.#tick()
  }

  /** Ends the timer and the exchange under way; nothing is published or withdrawn any more. */
  stop(): void {
    this.#isStopped = true
    this.#cancelTimer()
    this.#flight?.abort.abort()
    this.#flight = undefined
  }

  /** Does what is due, and sleeps until the next thing is. */
  #tick(): void {
    if (this.#isStopped) return
    this.#noticeSetBack()
    if (this.#isPast(this.#end)) void this.#withdraw()
    if (this.#isPast(this.#flight?.limit)) this.#abandon()
    if (this.#isPast(this.#gate)) this.#giveUp(this.#lastFailure ?? this.#timeout())
    if (this.#flight === undefined && this.#isPast(this.#due)) void this.#fly()
    if (this.#failedToken !== undefined) void this.#lookForNewToken()
    this.#sleep()
  }

  #isPast(moment: Moment | undefined): boolean {
    return !this.#isStopped && moment !== undefined && remainingMs(this.#deps.clock, moment) <= 0
  }

  #sleep(): void {
    this.#cancelTimer()
    if (this.#isStopped) return
    const { clock } = this.#deps
    const next = this.#flight === undefined ? this.#due : this.#flight.limit
    const moments = [next, this.#end, this.#gate].filter((one) => one !== undefined)
    const longest = this.#failedToken === undefined ? LIMITS_MS.sleep : LIMITS_MS.tokenLook
    const delayMs = Math.min(longest, ...moments.map((moment) => remainingMs(clock, moment)))
    this.#cancelTimer = clock.after(Math.max(1, Math.ceil(delayMs)), () => {
      this.#tick()
    })
  }

  /** One exchange, from the token to what is published. */
  async #fly(): Promise<void> {
    const { clock, exchange, tokenVersion } = this.#deps
    const flight: Flight = {
      abort: new AbortController(),
      limit: deadlineIn(clock, LIMITS_MS.exchange),
    }
    this.#flight = flight
    this.#failedToken = undefined
    let version: string | undefined
    try {
      version = await tokenVersion()
      const thing = await exchange(flight.abort.signal)
      this.#noticeSetBack()
      if (this.#flight !== flight) return // a late answer
      flight.limit = undefined
      await this.#publish(thing)
    } catch (error) {
      if (this.#flight === flight) this.#failed(this.#toSidecarError(error), version)
    }
    if (this.#flight !== flight) return
    this.#flight = undefined
    this.#sleep()
  }

  #abandon(): void {
    this.#flight?.abort.abort()
    this.#flight = undefined
    this.#failed(this.#timeout(), undefined)
  }

  async #publish(thing: Thing): Promise<void> {
    const { kind, clock, store, random, log } = this.#deps
    const goodForMs = kind.endOf(thing) - clock.now()
    if (goodForMs <= 0) throw this.#error('ExpiredOnArrival', kind.phrases.ended)
    await store.publish(thing)
    if (this.#isStopped) return
    const delayMs = kind.refreshDelayMs(thing, goodForMs, random)
    this.#end = deadlineIn(clock, kind.endOf(thing) - clock.now())
    this.#due = deadlineIn(clock, delayMs)
    this.#gate = undefined
    this.#failures = 0
    this.#lastFailure = undefined
    const refreshInMs = Math.round(delayMs)
    log.info({ expiration: kind.expirationText(thing), refreshInMs }, kind.phrases.published)
  }

  #failed(error: SidecarError, tokenVersion: string | undefined): void {
    const { kind, clock, random, log } = this.#deps
    const { code, failureClass, message, hint } = error
    this.#failures += 1
    this.#lastFailure = error
    const goodForMs = this.#end === undefined ? 0 : Math.max(0, remainingMs(clock, this.#end))
    const delayMs = retryDelayMs(failureClass, this.#failures, goodForMs, random)
    this.#due = deadlineIn(clock, delayMs)
    if (failureClass === 'token') this.#failedToken = { version: tokenVersion }
    const givesUp = this.isGateShut && (failureClass === 'refused' || this.#isPast(this.#gate))
    const retryInMs = givesUp ? undefined : Math.round(delayMs)
    const fields = { attempt: this.#failures, retryInMs, reason: message, hint }
    log.warn({ code, class: failureClass, ...fields }, kind.phrases.failed)
    if (givesUp) this.#giveUp(error)
  }

  #giveUp(error: SidecarError): void {
    if (this.#isStopped) return
    this.stop()
    this.#deps.log.error({ code: error.code }, this.#deps.kind.phrases.none)
    this.#deps.onGiveUp(error)
  }

  async #lookForNewToken(): Promise<void> {
    const awaited = this.#failedToken
    const version = await this.#deps.tokenVersion()
    if (awaited === undefined || this.#failedToken !== awaited) return
    if (version === awaited.version) return
    this.#failedToken = undefined
    this.#due = deadlineIn(this.#deps.clock, 0)
    this.#tick()
  }

  /**
   * Expirations are written by the wall clock; after it is set back they must be written anew, and
   * an exchange that began before counts from a moment that never was.
   */
  #noticeSetBack(): void {
    const { clock } = this.#deps
    const offsetMs = clock.now() - clock.monotonic()
    const isSetBack = offsetMs < this.#offsetMs - LIMITS_MS.setBack
    this.#offsetMs = offsetMs
    if (!isSetBack) return
    this.#flight?.abort.abort()
    this.#flight = undefined
    this.#due = deadlineIn(clock, 0)
    this.#sleep()
  }

  async #withdraw(): Promise<void> {
    const { kind, store, log } = this.#deps
    const thing = store.current()
    this.#end = undefined
    if (thing === undefined) return
    const expiration = kind.expirationText(thing)
    log.error({ expiration }, kind.phrases.withdrawn)
    try {
      await store.withdraw(thing)
    } catch (error) {
      log.error({ expiration, code: codeOf(error) }, kind.phrases.unremovable)
    }
  }

  #timeout(): SidecarError {
    return this.#error('ExchangeTimeout', `no answer in ${LIMITS_MS.exchange / 1000} s`)
  }

  #error(code: string, text: string): SidecarError {
    return new SidecarError('transient', code, `no ${this.#deps.wanted}: ${text}`)
  }

  /** What is not an SidecarError comes from publishing, such as ENOSPC. */
  #toSidecarError(error: unknown): SidecarError {
    if (error instanceof SidecarError) return error
    const code = codeOf(error) ?? 'PublishFailed'
    return this.#error(code, `${this.#deps.kind.phrases.unwritten}: ${code}`)
  }
}
