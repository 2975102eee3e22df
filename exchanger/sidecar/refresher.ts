import type { Cancel, Clock, Random } from '../../shared/base/clock.ts'
import { codeOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { SidecarError } from '../failure.ts'
import type { Store } from '../publish/store.ts'
import { remainingMs, deadlineIn, type Deadline } from './deadline.ts'
import type { Renewable } from './renewable.ts'
import { GATE_MS, retryDelayMs } from './schedule.ts'

const LIMITS_MS = {
  /** With a longer sleep, a suspend or a changed clock would be detected too late. */
  sleep: 30_000,
  /** Interval for checking the token file while waiting for a new token. */
  tokenPoll: 10_000,
  /** An exchange that takes longer is aborted. */
  exchange: 30_000,
  /** A wall clock set back by more than this makes the published Expiration too late. */
  clockSetBack: 60_000,
} as const

export interface RefresherDeps<Item> {
  readonly renewable: Renewable<Item>
  /** What is kept fresh, as messages have it after "no": `exchange of arn:… for ServiceAccount team-a/app`. */
  readonly wanted: string
  readonly clock: Clock
  readonly random: Random
  readonly store: Store<Item>
  /** Logs with the fields of the workload. */
  readonly log: Logger
  /** Runs one exchange, which the signal aborts. @throws SidecarError */
  readonly exchange: (signal: AbortSignal) => Promise<Item>
  /** Changes with each token that the kubelet writes; undefined if absent. */
  readonly tokenVersion: () => Promise<string | undefined>
  /** The app runs already, so there is no gate: a missing item is asked for like any other. */
  readonly hasGateOpened?: boolean
  /** Called once if the initial item cannot be obtained: the process should exit and say why. */
  readonly onGiveUp: (error: SidecarError) => void
}

/** A running exchange. It has no limit while its result is being published, which is not aborted. */
interface InFlight {
  readonly abort: AbortController
  limit: Deadline | undefined
}

/**
 * Keeps one item fresh, credentials or a certificate: exchanges the token for a new one well before expiry, backs
 * off after failures, keeps the last valid one meanwhile and removes it on expiry. At most one exchange is running;
 * the result of an aborted one is discarded.
 *
 * Until the first item is available the gate is closed: a refusal, or 30 s without success, makes the refresher give
 * up. Once the gate is open, the refresher never gives up.
 */
export class Refresher<Item> {
  readonly #deps: RefresherDeps<Item>
  #due: Deadline
  /** Expiry of what is published. */
  #expiry: Deadline | undefined
  /** When to give up; undefined once the gate is open. */
  #gate: Deadline | undefined
  #failures = 0
  #lastFailure: SidecarError | undefined
  /** Version of the token that failed, while waiting for a new one. */
  #failedToken: { readonly version: string | undefined } | undefined
  #inFlight: InFlight | undefined
  /** Wall clock minus monotonic clock; changes only if the wall clock is set. */
  #offsetMs: number
  #cancelTimer: Cancel = () => undefined
  #isStopped = false

  constructor(deps: RefresherDeps<Item>) {
    const { clock } = deps
    this.#deps = deps
    this.#due = deadlineIn(clock, 0)
    this.#gate = deps.hasGateOpened === true ? undefined : deadlineIn(clock, GATE_MS)
    this.#offsetMs = clock.now() - clock.monotonic()
  }

  /** True until there is an item, from an exchange or from before a restart. */
  get isGateClosed(): boolean {
    return this.#gate !== undefined
  }

  /** The last failure since the last success. */
  get lastFailure(): SidecarError | undefined {
    return this.#lastFailure
  }

  start(): void {
    const { renewable, store, clock, random } = this.#deps
    const found = store.current()
    if (found !== undefined) {
      const validForMs = renewable.expiresAtMsOf(found) - clock.now()
      const delayMs = validForMs > 0 ? renewable.resumeDelayMs(found, validForMs, random) : 0
      this.#gate = undefined
      this.#expiry = deadlineIn(clock, validForMs)
      this.#due = deadlineIn(clock, delayMs)
    }
    this.#tick()
  }

  /** Makes the next exchange begin within `delayMs`; one that is under way or due sooner stays. */
  bringForward(delayMs: number): void {
    const { clock } = this.#deps
    if (remainingMs(clock, this.#due) > delayMs) this.#due = deadlineIn(clock, delayMs)
    this.#tick()
  }

  /** Stops the timer and the running exchange; nothing is published or removed any more. */
  stop(): void {
    this.#isStopped = true
    this.#cancelTimer()
    this.#inFlight?.abort.abort()
    this.#inFlight = undefined
  }

  /** Does what is due, and sleeps until the next deadline. */
  #tick(): void {
    if (this.#isStopped) return
    this.#detectClockSetBack()
    if (this.#isPast(this.#expiry)) void this.#withdraw()
    if (this.#isPast(this.#inFlight?.limit)) this.#abortInFlight()
    if (this.#isPast(this.#gate)) this.#giveUp(this.#lastFailure ?? this.#timeout())
    if (this.#inFlight === undefined && this.#isPast(this.#due)) void this.#exchange()
    if (this.#failedToken !== undefined) void this.#pollToken()
    this.#sleep()
  }

  #isPast(deadline: Deadline | undefined): boolean {
    return (
      !this.#isStopped && deadline !== undefined && remainingMs(this.#deps.clock, deadline) <= 0
    )
  }

  #sleep(): void {
    this.#cancelTimer()
    if (this.#isStopped) return
    const { clock } = this.#deps
    const next = this.#inFlight === undefined ? this.#due : this.#inFlight.limit
    const deadlines = [next, this.#expiry, this.#gate].filter((one) => one !== undefined)
    const longest = this.#failedToken === undefined ? LIMITS_MS.sleep : LIMITS_MS.tokenPoll
    const delayMs = Math.min(longest, ...deadlines.map((deadline) => remainingMs(clock, deadline)))
    this.#cancelTimer = clock.after(Math.max(1, Math.ceil(delayMs)), () => {
      this.#tick()
    })
  }

  /** Runs one exchange, from the token to the published item. */
  async #exchange(): Promise<void> {
    const { clock, exchange, tokenVersion } = this.#deps
    const inFlight: InFlight = {
      abort: new AbortController(),
      limit: deadlineIn(clock, LIMITS_MS.exchange),
    }
    this.#inFlight = inFlight
    this.#failedToken = undefined
    let version: string | undefined
    try {
      version = await tokenVersion()
      const item = await exchange(inFlight.abort.signal)
      this.#detectClockSetBack()
      if (this.#inFlight !== inFlight) return // a late result
      inFlight.limit = undefined
      await this.#publish(item)
    } catch (error) {
      if (this.#inFlight === inFlight) this.#failed(this.#toSidecarError(error), version)
    }
    if (this.#inFlight !== inFlight) return
    this.#inFlight = undefined
    this.#sleep()
  }

  #abortInFlight(): void {
    this.#inFlight?.abort.abort()
    this.#inFlight = undefined
    this.#failed(this.#timeout(), undefined)
  }

  async #publish(item: Item): Promise<void> {
    const { renewable, clock, store, random, log } = this.#deps
    const validForMs = renewable.expiresAtMsOf(item) - clock.now()
    if (validForMs <= 0) throw this.#error('ExpiredOnArrival', renewable.phrases.expired)
    await store.publish(item)
    if (this.#isStopped) return
    const delayMs = renewable.refreshDelayMs(item, validForMs, random)
    this.#expiry = deadlineIn(clock, renewable.expiresAtMsOf(item) - clock.now())
    this.#due = deadlineIn(clock, delayMs)
    this.#gate = undefined
    this.#failures = 0
    this.#lastFailure = undefined
    const refreshInMs = Math.round(delayMs)
    log.info(
      { expiration: renewable.expirationText(item), refreshInMs },
      renewable.phrases.published,
    )
  }

  #failed(error: SidecarError, tokenVersion: string | undefined): void {
    const { renewable, clock, random, log } = this.#deps
    const { code, failureClass, message, hint } = error
    this.#failures += 1
    this.#lastFailure = error
    const validForMs =
      this.#expiry === undefined ? 0 : Math.max(0, remainingMs(clock, this.#expiry))
    const delayMs = retryDelayMs(failureClass, this.#failures, validForMs, random)
    this.#due = deadlineIn(clock, delayMs)
    if (failureClass === 'token') this.#failedToken = { version: tokenVersion }
    const givesUp = this.isGateClosed && (failureClass === 'refused' || this.#isPast(this.#gate))
    const retryInMs = givesUp ? undefined : Math.round(delayMs)
    const fields = { attempt: this.#failures, retryInMs, error: message, hint }
    log.warn({ code, class: failureClass, ...fields }, renewable.phrases.failed)
    if (givesUp) this.#giveUp(error)
  }

  #giveUp(error: SidecarError): void {
    if (this.#isStopped) return
    this.stop()
    this.#deps.log.error({ code: error.code }, this.#deps.renewable.phrases.none)
    this.#deps.onGiveUp(error)
  }

  async #pollToken(): Promise<void> {
    const failed = this.#failedToken
    const version = await this.#deps.tokenVersion()
    if (failed === undefined || this.#failedToken !== failed) return
    if (version === failed.version) return
    this.#failedToken = undefined
    this.#due = deadlineIn(this.#deps.clock, 0)
    this.#tick()
  }

  /**
   * Published expirations are by the wall clock. After it is set back they must be published again, and a running
   * exchange is aborted, because its expiry would be computed from the old time.
   */
  #detectClockSetBack(): void {
    const { clock } = this.#deps
    const offsetMs = clock.now() - clock.monotonic()
    const isSetBack = offsetMs < this.#offsetMs - LIMITS_MS.clockSetBack
    this.#offsetMs = offsetMs
    if (!isSetBack) return
    this.#inFlight?.abort.abort()
    this.#inFlight = undefined
    this.#due = deadlineIn(clock, 0)
    this.#sleep()
  }

  async #withdraw(): Promise<void> {
    const { renewable, store, log, clock } = this.#deps
    const item = store.current()
    this.#expiry = undefined
    if (item === undefined) return
    const expiration = renewable.expirationText(item)
    log.error({ expiration }, renewable.phrases.withdrawn)
    try {
      await store.withdraw(item)
    } catch (error) {
      log.error({ expiration, code: codeOf(error) }, renewable.phrases.unremovable)
    }
    // Several pods may have different ones from an earlier process; the next one expires later.
    const next = store.current()
    const validForMs = next === undefined ? 0 : renewable.expiresAtMsOf(next) - clock.now()
    if (validForMs <= 0) return
    this.#expiry = deadlineIn(clock, validForMs)
    this.#sleep()
  }

  #timeout(): SidecarError {
    return this.#error('ExchangeTimeout', `no response in ${LIMITS_MS.exchange / 1000} s`)
  }

  #error(code: string, text: string): SidecarError {
    return new SidecarError('transient', code, `no ${this.#deps.wanted}: ${text}`)
  }

  /** Any other error comes from publishing, such as ENOSPC. */
  #toSidecarError(error: unknown): SidecarError {
    if (error instanceof SidecarError) return error
    const code = codeOf(error) ?? 'PublishFailed'
    return this.#error(code, `${this.#deps.renewable.phrases.unwritten}: ${code}`)
  }
}
