import type { Store } from '../exchanger/publish/store.ts'
import { deadlineIn, remainingMs, type Deadline } from '../exchanger/sidecar/deadline.ts'
import type { Renewable } from '../exchanger/sidecar/renewable.ts'
import type { Cancel, Clock } from '../shared/base/clock.ts'
import type { Logger } from '../shared/base/log.ts'

/** A clock that is wrong by hours makes each token look expired: its pod is a member between two calls nevertheless. */
const MIN_TOKEN_MS = 300_000
/** A longer sleep would notice a suspended node too late. */
const MAX_SLEEP_MS = 30_000

export interface MembersDeps<Item> {
  readonly renewable: Renewable<Item>
  readonly clock: Clock
  readonly log: Logger
  readonly onWritten: (uid: string) => void
  /** A pod's folder could not be written; it has the former item, or none. */
  readonly onUnwritten: (uid: string, error: unknown) => void
}

interface Membership<Item> {
  readonly store: Store<Item>
  /** When the token that the pod itself brought last expires. */
  readonly tokenExpiry: Deadline
}

/**
 * The pods that share one item, and their folders. A pod whose kubelet brings no token any more leaves when its last one
 * has expired, as a sidecar could exchange nothing from then on: it keeps what it has until that expires.
 */
export class Members<Item> {
  readonly #deps: MembersDeps<Item>
  /** By the uid of the pod. */
  readonly #members = new Map<string, Membership<Item>>()
  /** Pods that have left, but whose item has not expired yet. */
  readonly #leaving = new Map<string, Cancel>()

  constructor(deps: MembersDeps<Item>) {
    this.#deps = deps
  }

  /** Whether there is nobody, not even one that keeps its last item. */
  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#leaving.size === 0
  }

  /** Whether anybody is to get the next item. */
  get hasAny(): boolean {
    return this.#members.size > 0
  }

  has(uid: string): boolean {
    return this.#members.has(uid)
  }

  /** Takes the pod in, or notes that it brought a token again. `tokenExpiresAtMs`: milliseconds since the epoch. */
  add(uid: string, store: Store<Item>, tokenExpiresAtMs: number): void {
    const { clock } = this.#deps
    const validForMs = Math.max(MIN_TOKEN_MS, tokenExpiresAtMs - clock.now())
    this.#cancelLeaving(uid)
    this.#members.set(uid, { store, tokenExpiry: deadlineIn(clock, validForMs) })
  }

  /** Forgets the pod, whose folder is left as it is. */
  remove(uid: string): void {
    this.#cancelLeaving(uid)
    this.#members.delete(uid)
  }

  /** Lets those leave whose last token has expired. */
  removeWithoutToken(): void {
    const { renewable, clock, log } = this.#deps
    for (const [uid, { store, tokenExpiry }] of this.#members) {
      if (remainingMs(clock, tokenExpiry) > 0) continue
      this.#members.delete(uid)
      log.warn(
        { uid },
        'no new token from the kubelet; the pod keeps what it has until that expires',
      )
      const last = store.current()
      if (last !== undefined) this.#withdrawAt(renewable.expiresAtMsOf(last), uid, store)
    }
  }

  /** @throws what the folder's writing throws */
  async publishTo(uid: string, store: Store<Item>, item: Item): Promise<void> {
    try {
      if (store.current() !== item) await store.publish(item)
      this.#deps.onWritten(uid)
    } catch (error) {
      this.#deps.onUnwritten(uid, error)
      throw error
    }
  }

  /** One pod's folder that cannot be written is that pod's trouble alone. */
  async publish(item: Item): Promise<void> {
    this.removeWithoutToken()
    await this.replace(() => item)
  }

  /** Changes what each one has; undefined leaves it. */
  async replace(change: (present: Item | undefined) => Item | undefined): Promise<void> {
    const each = [...this.#members].map(async ([uid, { store }]) => {
      const item = change(store.current())
      if (item !== undefined) await this.publishTo(uid, store, item)
    })
    await Promise.allSettled(each)
  }

  /** Removes all that is expired once `item` is. */
  async withdraw(item: Item): Promise<void> {
    const { renewable } = this.#deps
    const each = [...this.#members.values()].map(async ({ store }) => {
      const present = store.current()
      const isExpired =
        present !== undefined && renewable.expiresAtMsOf(present) <= renewable.expiresAtMsOf(item)
      if (isExpired) await store.withdraw(present)
    })
    await Promise.all(each)
  }

  /** Of what stands in the folders, that which ends first. */
  firstToExpire(): Item | undefined {
    const { renewable } = this.#deps
    const found = [...this.#members.values()].flatMap(({ store }) => store.current() ?? [])
    return found.toSorted(
      (one, other) => renewable.expiresAtMsOf(one) - renewable.expiresAtMsOf(other),
    )[0]
  }

  /** Ends all timers. */
  stop(): void {
    for (const uid of [...this.#leaving.keys()]) this.#cancelLeaving(uid)
  }

  #withdrawAt(expiresAtMs: number, uid: string, store: Store<Item>): void {
    const { clock, onUnwritten } = this.#deps
    const leftMs = expiresAtMs - clock.now()
    if (leftMs > 0) {
      const again = (): void => {
        this.#withdrawAt(expiresAtMs, uid, store)
      }
      this.#leaving.set(uid, clock.after(Math.min(leftMs, MAX_SLEEP_MS), again))
      return
    }
    this.#leaving.delete(uid)
    const last = store.current()
    if (last === undefined) return
    store.withdraw(last).catch((error: unknown) => {
      onUnwritten(uid, error)
    })
  }

  #cancelLeaving(uid: string): void {
    this.#leaving.get(uid)?.()
    this.#leaving.delete(uid)
  }
}
