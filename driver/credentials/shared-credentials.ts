import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import type { WebIdentityToken } from '../../exchanger/credentials/token.ts'
import { ExchangeError } from '../../exchanger/failure.ts'
import type { Store } from '../../exchanger/publish/store.ts'
import { CREDENTIALS } from '../../exchanger/sidecar/kind.ts'
import { Refresher } from '../../exchanger/sidecar/refresher.ts'
import { GATE_MS } from '../../exchanger/sidecar/schedule.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'

/** A refusal is repeated for so long before STS is asked again: kubelets retry several times a second at first. */
const REMEMBER_REFUSAL_MS = 10_000
/** A pod without credentials makes the others' failed exchange be tried again, but no sooner than this. */
const HURRIED_RETRY_MS = 5000

export interface SharedCredentialsDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** What is wanted for whom, as messages say it after "no": `exchange of arn:… for ServiceAccount team-a/app`. */
  readonly wanted: string
  /** One exchange of the token, which ends when the signal says so. @throws ExchangeError */
  readonly exchange: (token: WebIdentityToken, signal: AbortSignal) => Promise<CredentialDocument>
  /** A pod's folder could not be written; its credentials there are the former ones, or none. */
  readonly onUnwritten: (uid: string, error: unknown) => void
}

/** A pod that is to have the credentials. */
export interface Member {
  /** Uid of the pod. */
  readonly uid: string
  readonly store: Store<CredentialDocument>
  /** For the audience of these credentials, as the kubelet handed it over. */
  readonly token: WebIdentityToken
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The credentials of all pods of this node that want the same: one exchange serves them all, and each has them in
 * its own folder. The schedule, the last good credentials and their withdrawal are the sidecar's.
 *
 * What an earlier process left in a pod's folder stays that pod's own. It tells when to exchange again, and nothing
 * more: no other pod gets it.
 */
export class SharedCredentials {
  readonly #deps: SharedCredentialsDeps
  /** Folders by the uid of the pod. */
  readonly #members = new Map<string, Store<CredentialDocument>>()
  readonly #waiting = new Map<string, Waiting>()
  /** That which expires last: tokens of pods that are gone expire soon. */
  #token: WebIdentityToken | undefined
  /** From an exchange that this process made. */
  #own: CredentialDocument | undefined
  #refresher: Refresher<CredentialDocument> | undefined
  #refusal: { readonly error: ExchangeError; readonly untilMs: number } | undefined

  constructor(deps: SharedCredentialsDeps) {
    this.#deps = deps
  }

  /** Whether nothing is lost by forgetting these credentials. */
  get isIdle(): boolean {
    return this.#members.size === 0 && this.#remembered() === undefined
  }

  /**
   * Gives a pod these credentials and keeps them fresh in its folder. Resolves once they are there; called again for
   * the same pod it takes the newer token and writes what is missing.
   *
   * @throws ExchangeError if STS refuses, or gives none within 30 s; the pod is then no member
   */
  async join({ uid, store, token }: Member): Promise<void> {
    this.#members.set(uid, store)
    if (isNewer(token, this.#token)) this.#token = token
    if (this.#own !== undefined) {
      await this.#publishTo(uid, store, this.#own)
      return
    }
    const found = store.current()
    if (found !== undefined) {
      this.#keepFresh()
      this.#refreshInTime(found)
      return
    }
    const refusal = this.#remembered()
    if (refusal !== undefined) {
      this.#members.delete(uid)
      throw refusal
    }
    await this.#first(uid)
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

  /** The first credentials of a pod that has none: now, not when the others' are due. */
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
          reject(error as Error)
        },
      })
    })
    this.#keepFresh()
    const failed = this.#refresher?.lastFailure !== undefined
    this.#refresher?.bringForward(failed ? HURRIED_RETRY_MS : 0)
    return first
  }

  #refreshInTime(found: CredentialDocument): void {
    const { clock, random } = this.#deps
    const goodForMs = Math.max(1, expirationOf(found) - clock.now())
    this.#refresher?.bringForward(CREDENTIALS.resumeDelayMs(found, goodForMs, random))
  }

  #keepFresh(): void {
    if (this.#refresher !== undefined) return
    const { clock, random, log, wanted } = this.#deps
    this.#refresher = new Refresher({
      kind: CREDENTIALS,
      wanted,
      clock,
      random,
      log,
      store: this.#everyFolder(),
      exchange: (signal) => this.#exchange(signal),
      tokenVersion: () => Promise.resolve(String(this.#token?.claims.expiresAtMs)),
      onGiveUp: (error) => {
        this.#refresher = undefined
        this.#failAll(error)
      },
    })
    this.#refresher.start()
  }

  async #exchange(signal: AbortSignal): Promise<CredentialDocument> {
    try {
      if (this.#token === undefined) throw this.#error('TokenMissing', 'there is no token')
      return await this.#deps.exchange(this.#token, signal)
    } catch (error) {
      // Where others have credentials the refresher goes on; who has none is told at once.
      if (error instanceof ExchangeError && error.failureClass === 'refused') this.#failAll(error)
      throw error
    }
  }

  /** What the refresher publishes into: the folders of all pods. */
  #everyFolder(): Store<CredentialDocument> {
    return {
      current: () => this.#own ?? this.#found(),
      publish: async (document) => {
        this.#own = document
        const each = [...this.#members].map(([uid, store]) => this.#publishTo(uid, store, document))
        await Promise.allSettled(each)
      },
      withdraw: async (document) => {
        if (this.#own === document) this.#own = undefined
        for (const store of this.#members.values()) {
          const present = store.current()
          if (present !== undefined && present.Expiration <= document.Expiration)
            await store.withdraw(present)
        }
      },
    }
  }

  /** Of what an earlier process left, that which ends first. */
  #found(): CredentialDocument | undefined {
    const found = [...this.#members.values()].flatMap((store) => store.current() ?? [])
    return found.reduce<CredentialDocument | undefined>(
      (first, one) => (first === undefined || one.Expiration < first.Expiration ? one : first),
      undefined,
    )
  }

  /** One pod's folder that cannot be written is that pod's trouble alone. */
  async #publishTo(
    uid: string,
    store: Store<CredentialDocument>,
    document: CredentialDocument,
  ): Promise<void> {
    try {
      if (store.current() !== document) await store.publish(document)
      this.#settle(uid, ({ resolve }) => {
        resolve()
      })
    } catch (error) {
      this.#deps.onUnwritten(uid, error)
      this.#settle(uid, ({ reject }) => {
        reject(error)
      })
      throw error
    }
  }

  #failAll(error: ExchangeError): void {
    this.#refusal = { error, untilMs: this.#deps.clock.monotonic() + REMEMBER_REFUSAL_MS }
    for (const uid of [...this.#waiting.keys()]) this.#fail(uid, error)
  }

  #fail(uid: string, error: unknown): void {
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

  #remembered(): ExchangeError | undefined {
    const { error, untilMs } = this.#refusal ?? {}
    return untilMs !== undefined && this.#deps.clock.monotonic() < untilMs ? error : undefined
  }

  #error(code: string, text: string): ExchangeError {
    return new ExchangeError('transient', code, `no ${this.#deps.wanted}: ${text}`)
  }
}

function isNewer(token: WebIdentityToken, than: WebIdentityToken | undefined): boolean {
  if (than === undefined) return true
  return (token.claims.expiresAtMs ?? 0) >= (than.claims.expiresAtMs ?? 0)
}
