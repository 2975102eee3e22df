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
  const perAddress = new Map<string, number>()
  let total = 0
  /** Number of addresses over their own limit. */
  let overLimit = 0

  const shift = (address: string, by: number): void => {
    const before = perAddress.get(address) ?? 0
    const after = before + by
    total += by
    overLimit += Number(after > limits.maxPerAddress) - Number(before > limits.maxPerAddress)
    if (after === 0) perAddress.delete(address)
    else perAddress.set(address, after)
  }
  return {
    get size() {
      return members.size
    },
    get total() {
      return total
    },
    has: (member) => members.has(member),
    members: () => members,
    add(member) {
      if (members.has(member)) return
      members.add(member)
      shift(member.address, member.weight)
    },
    weigh(member, weight) {
      if (members.has(member)) shift(member.address, weight - member.weight)
      member.weight = weight
    },
    delete(member) {
      if (members.delete(member)) shift(member.address, -member.weight)
    },
    isWithin: (address) =>
      total <= limits.max && (perAddress.get(address) ?? 0) <= limits.maxPerAddress,
    wouldEvict(address) {
      const perThis = perAddress.get(address) ?? 0
      if (total < limits.max && perThis < limits.maxPerAddress && overLimit === 0) return undefined
      const newcomer: Holder = { address, weight: 1, sinceMs: Infinity }
      return nextToEvict<Holder>([...members, newcomer], limits) as M | undefined
    },
    excess: () => (total > limits.max || overLimit > 0 ? nextToEvict(members, limits) : undefined),
  }
}
