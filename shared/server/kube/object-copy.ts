/** Limits memory, because tenants may write more than fits. */
export interface Memory<Kept> {
  /** In any unit. */
  sizeOf(kept: Kept): number
  readonly max: number
  /** Kept for an object that does not fit; of size 0. */
  readonly placeholder: Kept
}

/** Objects by key, within a memory limit. */
export class ObjectCopy<Kept> extends Map<string, Kept> {
  readonly #memory: Memory<Kept> | undefined
  #size = 0
  /** Number of objects that did not fit. */
  omitted = 0

  constructor(memory: Memory<Kept> | undefined) {
    super()
    this.#memory = memory
  }

  override set(key: string, kept: Kept): this {
    const memory = this.#memory
    if (memory === undefined) return super.set(key, kept)
    this.delete(key)
    const size = memory.sizeOf(kept)
    const fits = this.#size + size <= memory.max
    if (fits) this.#size += size
    else this.omitted += 1
    return super.set(key, fits ? kept : memory.placeholder)
  }

  override delete(key: string): boolean {
    const before = this.get(key)
    if (before !== undefined) this.#size -= this.#memory?.sizeOf(before) ?? 0
    return super.delete(key)
  }
}
