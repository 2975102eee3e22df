import { nextToEvict, type Holder, type Limits } from './eviction.ts'

/** A holder whose weight may grow and that may be evicted. */
export interface Member extends Holder {
  weight: number
  sinceMs: number
}

/**
 * Members within limits. Sums are maintained, so that a member within the limits costs almost nothing; eviction.ts
 * decides which member is evicted.
 */
export interface Budget<M extends Member> {
  readonly size: number
  /** Weight of all members. */
  readonly total: number
  has(member: M): boolean
  members(): Iterable<M>
  add(member: M): void
  /** Changes the weight of a member. */
  weigh(member: M, weight: number): void
  delete(member: M): void
  /** True if the total, and the sum of the address, are within the limits. */
  isWithin(address: string): boolean
  /** The member to evict for another one of weight 1 from this address; undefined if there is room. */
  wouldEvict(address: string): M | undefined
  /** The next member to evict; undefined within the limits. It stays a member until it is deleted. */
  excess(): M | undefined
}

export function createBudget<M extends Member>(limits: Limits): Budget<M> {
  const members = new Set<M>()
  const sums = new Sums(limits)
  return {
    get size() {
      return members.size
    },
    get total() {
      return sums.total
    },
    has: (member) => members.has(member),
    members: () => members,
    add(member) {
      if (members.has(member)) return
      members.add(member)
      sums.add(member.address, member.weight)
    },
    weigh(member, weight) {
      if (members.has(member)) sums.add(member.address, weight - member.weight)
      member.weight = weight
    },
    delete(member) {
      if (members.delete(member)) sums.add(member.address, -member.weight)
    },
    isWithin: (address) => sums.isWithin(address),
    wouldEvict(address) {
      if (sums.hasRoomFor(address)) return undefined
      const newcomer: Holder = { address, weight: 1, sinceMs: Infinity }
      return nextToEvict<Holder>([...members, newcomer], limits) as M | undefined
    },
    excess: () => (sums.isExceeded ? nextToEvict(members, limits) : undefined),
  }
}

/** Weights within limits, in total and for each address. */
class Sums {
  readonly #limits: Limits
  readonly #perAddress = new Map<string, number>()
  #total = 0
  /** Number of addresses over their own limit. */
  #overLimit = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get total(): number {
    return this.#total
  }

  /** True if the total, or the sum of any address, is over its limit. */
  get isExceeded(): boolean {
    return this.#total > this.#limits.max || this.#overLimit > 0
  }

  isWithin(address: string): boolean {
    const { max, maxPerAddress } = this.#limits
    return this.#total <= max && this.#of(address) <= maxPerAddress
  }

  /** True if nothing is exceeded, also with one more of weight 1 from this address. */
  hasRoomFor(address: string): boolean {
    const { max, maxPerAddress } = this.#limits
    return this.#total < max && this.#of(address) < maxPerAddress && this.#overLimit === 0
  }

  /** @param weight negative to subtract it */
  add(address: string, weight: number): void {
    const { maxPerAddress } = this.#limits
    const before = this.#of(address)
    const after = before + weight
    this.#total += weight
    this.#overLimit += Number(after > maxPerAddress) - Number(before > maxPerAddress)
    if (after === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, after)
  }

  #of(address: string): number {
    return this.#perAddress.get(address) ?? 0
  }
}
