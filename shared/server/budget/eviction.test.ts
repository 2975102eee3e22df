import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createBudget, type Member } from './budget.ts'
import { nextToEvict, type Holder, type Limits } from './eviction.ts'

const holder = (address: string, sinceMs: number, weight = 1): Holder => ({
  address,
  sinceMs,
  weight,
})

describe('which one is evicted first', () => {
  const limits: Limits = { max: 4, maxPerAddress: 3 }

  test('none, within the limits', () => {
    expect(nextToEvict([holder('a', 1), holder('a', 2), holder('b', 3)], limits)).toBeUndefined()
  })

  test('the oldest one of the address with the most, not the newest one', () => {
    const greedy = [holder('a', 3), holder('a', 1), holder('a', 2)]
    expect(nextToEvict([...greedy, holder('b', 0), holder('b', 4)], limits)).toBe(greedy[1])
  })

  test('by weight, not by number', () => {
    const heavy = holder('a', 5, 3)
    expect(nextToEvict([heavy, holder('b', 1), holder('b', 2)], limits)).toBe(heavy)
  })

  test('of an address over its own limit, even if there is room', () => {
    const greedy = [1, 2, 3, 4].map((sinceMs) => holder('a', sinceMs))
    expect(nextToEvict(greedy, { max: 10, maxPerAddress: 3 })).toBe(greedy[0])
  })

  test('of two with the same weight, the one whose oldest is older', () => {
    const older = holder('b', 1)
    expect(nextToEvict([holder('a', 2), older], { max: 1, maxPerAddress: 1 })).toBe(older)
  })

  test('not one that cannot be evicted; then one of the next address', () => {
    const next = holder('b', 9)
    expect(nextToEvict([holder('a', Infinity, 9), next], limits)).toBe(next)
    expect(nextToEvict([holder('a', Infinity, 9)], limits)).toBeUndefined()
  })
})

const holders = fc.array(
  fc.record({
    address: fc.constantFrom('a', 'b', 'c', 'd'),
    weight: fc.integer({ min: 1, max: 9 }),
    sinceMs: fc.oneof(fc.integer({ min: 0, max: 99 }), fc.constant(Infinity)),
  }),
  { maxLength: 40 },
)
const someLimits = fc
  .tuple(fc.integer({ min: 9, max: 60 }), fc.integer({ min: 9, max: 60 }))
  .map(([one, other]) => ({ max: Math.max(one, other), maxPerAddress: Math.min(one, other) }))

const sumOf = (of: readonly Holder[], address?: string): number =>
  of.reduce((sum, one) => sum + (one.address === (address ?? one.address) ? one.weight : 0), 0)

describe('laws', () => {
  test('one is evicted exactly if a limit is exceeded and one can be evicted', () => {
    fc.assert(
      fc.property(holders, someLimits, (all, limits) => {
        const gone = nextToEvict(all, limits)
        const isOver = sumOf(all) > limits.max
        const givers = all.filter(
          ({ address, sinceMs }) =>
            sinceMs < Infinity && (isOver || sumOf(all, address) > limits.maxPerAddress),
        )
        expect(gone === undefined).toBe(givers.length === 0)
        if (gone === undefined) return
        // No giver is of an address that holds more, and none of the same address is older.
        for (const one of givers) {
          expect(sumOf(all, one.address)).toBeLessThanOrEqual(sumOf(all, gone.address))
          if (one.address === gone.address) expect(one.sinceMs).toBeGreaterThanOrEqual(gone.sinceMs)
        }
      }),
    )
  })

  test('an address within its equal share loses nothing to larger ones', () => {
    fc.assert(
      fc.property(holders, someLimits, (all, limits) => {
        const gone = nextToEvict(
          all.map((one) => ({ ...one, sinceMs: Math.min(one.sinceMs, 99) })),
          limits,
        )
        if (gone === undefined) return
        const addresses = new Set(all.map(({ address }) => address)).size
        expect(sumOf(all, gone.address) * addresses).toBeGreaterThanOrEqual(sumOf(all))
      }),
    )
  })

  test('a budget depends only on its current members', () => {
    const step = fc.tuple(
      fc.constantFrom('add', 'weigh', 'delete'),
      fc.nat(19),
      fc.integer({ min: 0, max: 9 }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), someLimits, (steps, limits) => {
        const members: Member[] = Array.from({ length: 20 }, (_, n) => ({
          address: 'abcd'[n % 4] ?? '',
          weight: 1,
          sinceMs: n,
        }))
        const budget = createBudget<Member>(limits)
        for (const [what, index, weight] of steps) {
          const member = members[index]!
          if (what === 'add') budget.add(member)
          else if (what === 'delete') budget.delete(member)
          else budget.weigh(member, weight)
        }
        const inside = [...budget.members()]
        expect(budget.total).toBe(sumOf(inside))
        expect(budget.excess()).toBe(nextToEvict(inside, limits))
        for (const address of 'abcd') {
          const isWithin =
            sumOf(inside) <= limits.max && sumOf(inside, address) <= limits.maxPerAddress
          expect(budget.isWithin(address)).toBe(isWithin)
        }
      }),
    )
  })

  test('a quick client outlives any number of slow ones, even of its own address', () => {
    // A stranger fills the pool and replaces each connection at once; the caller needs as many of its
    // connections to come as fit, before it is the oldest itself.
    fc.assert(
      fc.property(
        fc.constantFrom('stranger', 'caller'),
        fc.integer({ min: 1, max: 50 }),
        (from, more) => {
          const limits: Limits = { max: 64, maxPerAddress: 48 }
          const budget = createBudget<Member>(limits)
          let nowMs = 0
          const come = (address: string): Member => {
            const member = { address, weight: 1, sinceMs: (nowMs += 1) }
            budget.add(member)
            for (let one = budget.excess(); one !== undefined; one = budget.excess()) {
              budget.delete(one)
            }
            return member
          }
          for (let n = 0; n < 100; n += 1) come('stranger')
          const caller = come(from)
          for (let n = 0; n < more; n += 1) come('stranger')
          const survives = from === 'caller' || more < limits.maxPerAddress
          expect(budget.has(caller)).toBe(survives)
        },
      ),
    )
  })
})
