import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { eventually } from '../../../test/fakes/eventually.ts'
import { VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { createTickQueue, createQueue, nextInQueue, type Entry } from './queue.ts'

function line(clock: VirtualClock): { begun: string[]; one: (address: string) => Entry } {
  const begun: string[] = []
  return {
    begun,
    one: (address) => ({
      address,
      begin() {
        begun.push(`${address}@${Math.round(clock.monotonic())}`)
      },
    }),
  }
}

describe('turns', () => {
  test('start immediately within the burst, then at the rate limit', async () => {
    const clock = new VirtualClock()
    const { begun, one } = line(clock)
    const turns = createQueue({ perSecond: 10, burst: 2 }, clock)
    const startMs = clock.monotonic()
    for (let n = 0; n < 4; n += 1) turns.add(one('a'))
    expect(begun).toHaveLength(2)
    expect(turns.waiting).toBe(2)
    await clock.advance(1000)
    expect(begun.slice(2)).toEqual([`a@${startMs + 100}`, `a@${startMs + 200}`])
    expect(clock.pending).toBe(0)
  })

  test('a removed one never starts', async () => {
    const clock = new VirtualClock()
    const { begun, one } = line(clock)
    const turns = createQueue({ perSecond: 10, burst: 1 }, clock)
    const gone = one('gone')
    turns.add(one('a'))
    turns.add(gone)
    turns.add(one('b'))
    turns.delete(gone)
    await clock.advance(1000)
    expect(begun.map((entry) => entry.split('@')[0])).toEqual(['a', 'b'])
  })

  test('an address without recent starts goes before all waiting entries of a flood', async () => {
    const clock = new VirtualClock()
    const { begun, one } = line(clock)
    const turns = createQueue({ perSecond: 100, burst: 4 }, clock)
    for (let n = 0; n < 200; n += 1) turns.add(one('flood'))
    await clock.advance(500)
    const before = begun.length
    turns.add(one('caller'))
    await clock.advance(20)
    expect(begun.slice(before).map((entry) => entry.split('@')[0])).toContain('caller')
    expect(begun.slice(before).length).toBeLessThanOrEqual(3)
  })

  test('law: never more than rate limit and burst in any period, and every entry starts eventually', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(300)), { maxLength: 40 }),
        async (arrivals) => {
          const clock = new VirtualClock()
          const { begun, one } = line(clock)
          const turns = createQueue({ perSecond: 20, burst: 3 }, clock)
          for (const [address, afterMs] of arrivals) {
            await clock.advance(afterMs)
            turns.add(one(address))
          }
          await clock.advance(10_000)
          expect(begun).toHaveLength(arrivals.length)
          const times = begun.map((entry) => Number(entry.split('@')[1]))
          times.forEach((fromMs, index) => {
            const within = times.slice(index).filter((ms) => ms - fromMs < 1000).length
            expect(within).toBeLessThanOrEqual(3 + 20 + 1)
          })
        },
      ),
      { numRuns: 30 },
    )
  })

  test('next is the first one of the address with the fewest', () => {
    const begin = (): void => undefined
    const waiting = ['a', 'b', 'b', 'c'].map((address) => ({ address, begin }))
    const lately = new Map([
      ['a', 5],
      ['b', 1],
      ['c', 2],
    ])
    expect(nextInQueue(waiting, lately)).toBe(waiting[1])
    expect(nextInQueue<Entry>([], lately)).toBeUndefined()
  })
})

test('one per iteration of the event loop, alternating between addresses', async () => {
  const order: string[] = []
  const file = createTickQueue()
  const done = new Promise<void>((resolve) => {
    for (const [address, name] of [
      ['a', 'a1'],
      ['a', 'a2'],
      ['a', 'a3'],
      ['b', 'b1'],
    ] as const) {
      file.add({
        address,
        begin() {
          order.push(name)
          setImmediate(() => order.push('-'))
          if (order.filter((one) => one !== '-').length === 4) setImmediate(resolve)
        },
      })
    }
  })
  expect(order).toEqual([])
  await done
  expect(order.filter((one) => one !== '-')).toEqual(['a1', 'b1', 'a2', 'a3'])
  expect(order.slice(0, 2)).toEqual(['a1', '-']) // others had their turn between the two
  let again = false
  file.add({
    address: 'a',
    begin() {
      again = true
    },
  })
  await eventually(() => again)
})
