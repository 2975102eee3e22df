import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import type { Cancel, Clock, Random } from '../../platform/clock.ts'
import { codeOf, messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import { ExchangeError } from '../failure.ts'
import type { CredentialStore } from '../publish/store.ts'
import { refreshDelayMs, resumeDelayMs, retryDelayMs } from './schedule.ts'

/** A timer that sleeps longer would notice a suspend or a clock that jumped too late. */
const LONGEST_SLEEP_MS = 30_000
/** How often the token file is looked at while a new one is awaited. */
const TOKEN_LOOK_MS = 10_000
/** An exchange that takes longer is given up and its child ended. */
const EXCHANGE_LIMIT_MS = 30_000
/** Before the first credentials: how long failures that may pass are retried inside the process. */
const GATE_LIMIT_MS = 30_000

export interface RefresherDeps {
  readonly clock: Clock
  readonly random: Random
  readonly store: CredentialStore
  readonly log: Logger
  /** One exchange; ends early when the signal says so. Throws ExchangeError. */
  readonly exchange: (signal: AbortSignal) => Promise<CredentialDocument>
  /** Changes when the kubelet writes a new token; undefined where there is none. */
  readonly tokenVersion: () => Promise<string | undefined>
  /** Called once, where no first credentials can be had: the process should end and say why. */
  readonly onGiveUp: (error: ExchangeError) => void
}

/** A moment by both clocks: it is past once either says so. */
interface Moment {
  readonly wallMs: number
  readonly monotonicMs: number
}

/**
 * Keeps credentials fresh: exchanges ahead of their end, backs off on failures, keeps the last good
 * ones meanwhile and withdraws them at their end. At most one exchange is under way; what comes back
 * from one that was given up is thrown away.
 */
export class Refresher {
  readonly #deps: RefresherDeps
  readonly #startedAtMs: number
  #due: Moment
  #end: Moment | undefined
  #failures = 0
  #lastFailure: ExchangeError | undefined
  #awaitedSince: string | undefined
  #sequence = 0
  #underWay: { readonly abort: AbortController; readonly limit: Moment } | undefined
  #gateOpen = false
  #cancelTimer: Cancel = () => undefined
  #stopped = false

  constructor(deps: RefresherDeps) {
    this.#deps = deps
    this.#startedAtMs = deps.clock.monotonic()
    this.#due = this.#in(0)
  }

  /** The last failure since the last success; for the termination message. */
  get lastFailure(): ExchangeError | undefined {
    return this.#lastFailure
  }

  /** True once there have been credentials, from an exchange or from before a restart. */
  get gateOpen(): boolean {
    return this.#gateOpen
  }

  start(): void {
    const found = this.#deps.store.current()
    const leftMs = found === undefined ? 0 : expirationOf(found) - this.#deps.clock.now()
    if (found !== undefined && leftMs > 0) {
      this.#gateOpen = true
      this.#end = this.#in(leftMs)
      this.#due = this.#in(resumeDelayMs(leftMs, this.#deps.random))
    } else {
      void this.#withdraw()
    }
    this.#tick()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer()
    this.#underWay?.abort.abort()
  }

  #in(delayMs: number): Moment {
    const { clock } = this.#deps
    return { wallMs: clock.now() + delayMs, monotonicMs: clock.monotonic() + delayMs }
  }

  #leftMs({ wallMs, monotonicMs }: Moment): number {
    const { clock } = this.#deps
    return Math.min(wallMs - clock.now(), monotonicMs - clock.monotonic())
  }

  /** Does what is due now, and sleeps until the next thing is. */
  #tick(): void {
    if (this.#stopped) return
    if (this.#end !== undefined && this.#leftMs(this.#end) <= 0) void this.#withdraw()
    if (this.#underWay !== undefined && this.#leftMs(this.#underWay.limit) <= 0) this.#abandon()
    if (this.#underWay === undefined && this.#leftMs(this.#due) <= 0) void this.#exchange()
    if (this.#awaitedSince !== undefined) void this.#lookForNewToken()
    this.#sleep()
  }

  #sleep(): void {
    this.#cancelTimer()
    const moments = [this.#underWay?.limit ?? this.#due, this.#end].filter(
      (one) => one !== undefined,
    )
    const longest = this.#awaitedSince === undefined ? LONGEST_SLEEP_MS : TOKEN_LOOK_MS
    const delayMs = Math.min(longest, ...moments.map((moment) => this.#leftMs(moment)))
    this.#cancelTimer = this.#deps.clock.after(Math.max(1, Math.ceil(delayMs)), () => {
      this.#tick()
    })
  }

  async #exchange(): Promise<void> {
    const sequence = ++this.#sequence
    const abort = new AbortController()
    this.#underWay = { abort, limit: this.#in(EXCHANGE_LIMIT_MS) }
    this.#awaitedSince = undefined
    const version = await this.#deps.tokenVersion()
    try {
      const document = await this.#deps.exchange(abort.signal)
      if (sequence === this.#sequence && !this.#stopped) await this.#publish(document, sequence)
    } catch (error) {
      if (sequence === this.#sequence && !this.#stopped)
        this.#failed(toExchangeError(error), version)
    }
    if (sequence === this.#sequence) this.#underWay = undefined
    if (!this.#stopped) this.#sleep()
  }

  /** Gives the exchange under way up; its answer, should one come, has an old sequence number. */
  #abandon(): void {
    this.#underWay?.abort.abort()
    this.#underWay = undefined
    this.#sequence += 1
    const message = `the exchange took longer than ${EXCHANGE_LIMIT_MS / 1000} s`
    this.#failed(new ExchangeError('transient', 'ExchangeTimeout', message), undefined)
  }

  async #publish(document: CredentialDocument, sequence: number): Promise<void> {
    const { clock, store, random, log } = this.#deps
    const leftMs = expirationOf(document) - clock.now()
    if (leftMs <= 0) {
      throw new ExchangeError(
        'transient',
        'ExpiredOnArrival',
        'STS gave credentials that have ended',
      )
    }
    await store.publish(document)
    if (sequence !== this.#sequence) return
    const delayMs = refreshDelayMs(leftMs, random)
    this.#end = this.#in(leftMs)
    this.#due = this.#in(delayMs)
    this.#failures = 0
    this.#lastFailure = undefined
    this.#gateOpen = true
    log.info(
      { expiration: document.Expiration, refreshInSeconds: Math.round(delayMs / 1000) },
      'credentials published',
    )
  }

  #failed(error: ExchangeError, tokenVersion: string | undefined): void {
    const { random, log, onGiveUp } = this.#deps
    this.#failures += 1
    this.#lastFailure = error
    const { kind, code, message, hint } = error
    const wantedMs = retryDelayMs(kind, this.#failures, random)
    const delayMs = this.#gateOpen
      ? wantedMs
      : Math.min(wantedMs, Math.max(1000, this.#gateLeftMs()))
    log.warn(
      {
        code,
        kind,
        reason: message,
        hint,
        attempt: this.#failures,
        retryInMs: Math.round(delayMs),
      },
      'exchange failed',
    )
    if (!this.#gateOpen && (kind === 'refused' || this.#gateLeftMs() <= 0)) {
      this.stop()
      onGiveUp(error)
      return
    }
    this.#due = this.#in(delayMs)
    if (kind === 'token') this.#awaitedSince = tokenVersion ?? 'none'
  }

  #gateLeftMs(): number {
    return this.#startedAtMs + GATE_LIMIT_MS - this.#deps.clock.monotonic()
  }

  async #lookForNewToken(): Promise<void> {
    const version = (await this.#deps.tokenVersion()) ?? 'none'
    if (this.#awaitedSince === undefined || version === this.#awaitedSince) return
    this.#awaitedSince = undefined
    this.#due = this.#in(0)
    this.#tick()
  }

  async #withdraw(): Promise<void> {
    const had = this.#deps.store.current() !== undefined
    this.#end = undefined
    try {
      await this.#deps.store.withdraw()
    } catch (error) {
      this.#deps.log.error({ code: codeOf(error) }, 'ended credentials cannot be removed')
    }
    if (had) this.#deps.log.warn({}, 'credentials have ended and were withdrawn')
  }
}

function toExchangeError(error: unknown): ExchangeError {
  if (error instanceof ExchangeError) return error
  return new ExchangeError('transient', codeOf(error) ?? 'PublishFailed', messageOf(error), {
    cause: error,
  })
}
