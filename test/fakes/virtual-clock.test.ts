import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sleep } from '../../shared/base/clock.ts'
import { seededRandom, VirtualClock } from './virtual-clock.ts'

describe('VirtualClock', () => {
  test('stands still until it is moved', async () => {
    const clock = new VirtualClock(1000)
    await clock.settle()
    expect([clock.now(), clock.monotonic()]).toEqual([1000, 0])
    await clock.advance(250)
    expect([clock.now(), clock.monotonic()]).toEqual([1250, 250])
  })

  test('law: timers run in the order of their time, each at its own moment', async () => {
    const delays = fc.array(fc.nat(1000), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(delays, async (delaysMs) => {
        const clock = new VirtualClock(0, 1)
        const ran: number[] = []
        for (const delayMs of delaysMs) {
          clock.after(delayMs, () => {
            expect(clock.monotonic()).toBe(delayMs)
            ran.push(delayMs)
          })
        }
        await clock.advance(500)
        const due = delaysMs.filter((delayMs) => delayMs <= 500)
        expect(ran).toEqual(due.toSorted((one, other) => one - other))
        expect(clock.pending).toBe(delaysMs.length - due.length)
        expect(clock.monotonic()).toBe(500)
      }),
    )
  })

  test('equal moments keep the order of arming', async () => {
    const clock = new VirtualClock()
    const ran: string[] = []
    for (const name of ['first', 'second', 'third']) clock.after(10, () => ran.push(name))
    await clock.advance(10)
    expect(ran).toEqual(['first', 'second', 'third'])
  })

  test('work that a timer started continues before the next timer, and new timers within the span run', async () => {
    const clock = new VirtualClock(0)
    const at: number[] = []
    const loop = async (): Promise<void> => {
      for (let round = 0; round < 3; round += 1) {
        await sleep(clock, 100)
        at.push(clock.now())
      }
    }
    const done = loop()
    await clock.advance(1000)
    await done
    expect(at).toEqual([100, 200, 300])
    expect(clock.now()).toBe(1000)
  })

  test('a cancelled timer does not run, and cancelling twice is not an error', async () => {
    const clock = new VirtualClock()
    let ran = false
    const cancel = clock.after(10, () => {
      ran = true
    })
    cancel()
    cancel()
    await clock.advance(20)
    expect(ran).toBe(false)
  })

  test('jumps and sleep of the machine move the wall clock only', async () => {
    const clock = new VirtualClock(0)
    let ran = false
    clock.after(10, () => {
      ran = true
    })
    clock.jumpWall(-5000)
    clock.suspend(60_000)
    await clock.settle()
    expect([clock.now(), clock.monotonic(), ran]).toEqual([55_000, 0, false])
    await clock.advance(10)
    expect([clock.now(), clock.monotonic(), ran]).toEqual([55_010, 10, true])
  })

  test('an error in an action reaches the test', async () => {
    const clock = new VirtualClock()
    clock.after(1, () => {
      throw new Error('seen')
    })
    await expect(clock.advance(1)).rejects.toThrow('seen')
  })
})

describe('seededRandom', () => {
  test('law: the same seed gives the same numbers, all from 0 to below 1', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const [one, other] = [seededRandom(seed), seededRandom(seed)]
        for (let draw = 0; draw < 50; draw += 1) {
          const number = one()
          expect(number).toBe(other())
          expect(number >= 0 && number < 1).toBe(true)
        }
      }),
    )
  })

  test('is spread evenly enough for a random source', () => {
    const random = seededRandom(1)
    const tenths = new Array<number>(10).fill(0)
    for (let draw = 0; draw < 10_000; draw += 1) {
      const tenth = Math.floor(random() * 10)
      tenths[tenth] = (tenths[tenth] ?? 0) + 1
    }
    for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })
})
