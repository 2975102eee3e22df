import type { Member, SharedRefresh } from './shared-refresh.ts'

/** All that the pods of this node have of one kind of thing, each under the key of those that want the same. */
export class Registry<Thing> {
  readonly #shared = new Map<string, SharedRefresh<Thing>>()
  /** Under which key a pod is a member. */
  readonly #keys = new Map<string, string>()

  /** How many different things are kept fresh. */
  get size(): number {
    return this.#shared.size
  }

  /**
   * Makes the pod a member of those with the same key.
   *
   * @param make called for the first one
   * @throws what {@link SharedRefresh.join} throws
   */
  async join(key: string, member: Member<Thing>, make: () => SharedRefresh<Thing>): Promise<void> {
    if (this.#keys.get(member.uid) !== key) this.leave(member.uid)
    this.#forgetIdle()
    const shared = this.#shared.get(key) ?? make()
    this.#shared.set(key, shared)
    this.#keys.set(member.uid, key)
    await shared.join(member)
  }

  /** Forgets the pod; does nothing for one that is not known. */
  leave(uid: string): void {
    const key = this.#keys.get(uid)
    if (key === undefined) return
    this.#keys.delete(uid)
    this.#shared.get(key)?.leave(uid)
    this.#forgetIdle()
  }

  stop(): void {
    for (const shared of this.#shared.values()) shared.stop()
    this.#shared.clear()
    this.#keys.clear()
  }

  #forgetIdle(): void {
    for (const [key, shared] of this.#shared) if (shared.isIdle) this.#shared.delete(key)
  }
}
