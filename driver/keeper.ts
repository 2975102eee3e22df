import { DRIVER_VOLUME } from '../contract/driver-volume.ts'
import type { Store } from '../exchanger/publish/store.ts'
import { allSettled } from '../shared/base/concurrency.ts'
import { DriverError } from './errors.ts'
import type { Pod, PodToken } from './pod-tokens.ts'
import type { Member, SharedRefresh } from './shared-refresh.ts'
import type { Part, Source } from './sources/source.ts'

/** What a call of the kubelet brings along. */
export interface Call {
  readonly tokens: ReadonlyMap<string, PodToken>
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** The pod runs already. */
  readonly isServed: boolean
}

/** A volume of a pod that has an item, and under which key it shares that. */
interface Known<Item> {
  readonly store: Store<Item>
  readonly key: string
}

/** Keeps one kind of item fresh for all pods of this node; those that may share one do. */
export class Keeper<Wanted, Item> {
  readonly #source: Source<Wanted, Item>
  readonly #onUnwritten: (uid: string, error: unknown) => void
  readonly #shared = new Map<string, SharedRefresh<Item>>()
  /** By the uid of the pod, then by the volume. */
  readonly #pods = new Map<string, Map<string, Known<Item>>>()

  /** @param onUnwritten called with the uid of a pod whose folder could not be written */
  constructor(source: Source<Wanted, Item>, onUnwritten: (uid: string, error: unknown) => void) {
    this.#source = source
    this.#onUnwritten = onUnwritten
  }

  /** The uids of the pods that have an item. */
  uids(): Iterable<string> {
    return this.#pods.keys()
  }

  /**
   * Gives the pod what it wants, if it wants any; resolves once all of it is in the pod's volumes.
   *
   * @throws DriverError, or SidecarError if an exchange fails: that of the first part of those that do. The pod then has to
   *   be given all of it again
   */
  async give(pod: Pod, wanted: Wanted | undefined, call: Call): Promise<void> {
    if (wanted === undefined) return
    const parts = this.#source.partsOf(wanted)
    await allSettled(parts.map((part) => this.#givePart(pod, part, call)))
  }

  async #givePart(
    pod: Pod,
    { volume, wanted }: Part<Wanted>,
    { tokens, signal, isServed }: Call,
  ): Promise<void> {
    const { uid } = pod
    const source = this.#source
    const token = tokenFor(source.audienceOf(wanted), tokens)
    const key = source.keyOf(pod, wanted, token)
    const known = this.#pods.get(uid)?.get(volume)
    const store = known?.store ?? (await source.openStore({ podUid: uid, name: volume }, signal))
    if (known !== undefined && known.key !== key) this.#shared.get(known.key)?.leave(uid)
    const volumes = this.#pods.get(uid) ?? new Map<string, Known<Item>>()
    this.#pods.set(uid, volumes.set(volume, { store, key }))
    const member: Member<Item> = { uid, store, token, isServed }
    await this.#sharedFor(key, () => source.make(pod, wanted, this.#onUnwritten)).join(member)
  }

  /** Changes what every pod has, without an exchange. */
  async amend(change: (item: Item) => Item): Promise<void> {
    await Promise.all([...this.#shared.values()].map((shared) => shared.amend(change)))
  }

  /** Forgets the pod; does nothing for one that is not known. */
  leave(uid: string): void {
    const known = [...(this.#pods.get(uid)?.values() ?? [])]
    this.#pods.delete(uid)
    for (const { key } of known) this.#shared.get(key)?.leave(uid)
    this.#removeIdle()
  }

  stop(): void {
    for (const shared of this.#shared.values()) shared.stop()
    this.#shared.clear()
    this.#pods.clear()
  }

  #sharedFor(key: string, make: () => SharedRefresh<Item>): SharedRefresh<Item> {
    this.#removeIdle()
    const shared = this.#shared.get(key) ?? make()
    this.#shared.set(key, shared)
    return shared
  }

  /** A refusal is remembered for a moment without a pod. */
  #removeIdle(): void {
    for (const [key, shared] of this.#shared) if (shared.isIdle) this.#shared.delete(key)
  }
}

function tokenFor(audience: string, tokens: ReadonlyMap<string, PodToken>): PodToken {
  const token = tokens.get(audience)
  if (token !== undefined) return token
  const sent = [...tokens.keys()].join(', ')
  throw new DriverError(
    'ERR_AUDIENCE',
    `the kubelet sent no token for the audience ${audience}, but for ${sent}`,
    {
      hint: `CSIDriver ${DRIVER_VOLUME.driver} must request it in tokenRequests, or the pod takes the sidecar (nocreds.dev/exchanger: sidecar)`,
    },
  )
}
