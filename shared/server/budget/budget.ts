import { nextToEvict, type Holder, type Limits } from './eviction.ts'

/** A holder whose part may grow and who may be let go. */
export interface Member extends Holder {
  weight: number
  sinceMs: number
}

/**
 * Members within limits. Sums are kept at hand, so that a member that is within them costs next to
 * nothing; who goes is decided by first-to-go.ts.
 */
export interface Budget<M extends Member> {
  readonly size: number
  /** What all members hold together. */
  readonly total: number
  has(member: M): boolean
  members(): Iterable<M>
  add(member: M): void
  /** Changes what a member holds. */
  weigh(member: M, weight: number): void
  delete(member: M): void
  /** Whether the sum of all, and that of the address, are within the limits. */
  isWithin(address: string): boolean
  /** Who would have to go for one more of weight 1 of this address; undefined where there is room. */
  wouldEvict(address: string): M | undefined
  /** The next member that must go; undefined while all is within the limits. It stays until it is deleted. */
  excess(): M | undefined
}

export function createBudget<M extends Member>(limits: Limits): Budget<M> {
  const members = new Set<M>()
  const perAddress = new Map<string, number>()
  let total = 0
  /** Addresses that are over their own limit. */
  let greedy = 0

  const shift = (address: string, by: number): void => {
    const before = perAddress.get(address) ?? 0
    const after = before + by
    total += by
    greedy += Number(after > limits.maxPerAddress) - Number(before > limits.maxPerAddress)
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
      if (total < limits.max && perThis < limits.maxPerAddress && greedy === 0) return undefined
      const newcomer: Holder = { address, weight: 1, sinceMs: Infinity }
      return nextToEvict<Holder>([...members, newcomer], limits) as M | undefined
    },
    excess: () => (total > limits.max || greedy > 0 ? nextToEvict(members, limits) : undefined),
  }
}
