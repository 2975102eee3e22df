import { describe, expect, test } from '@jest/globals'
import { VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { createFairSlots, type FairSlots } from './fair-slots.ts'

const LIMITS = { max: 3, maxPerCaller: 2, maxWaiting: 6, maxWaitingPerCaller: 4, maxWaitMs: 1000 }

interface Job {
  readonly outcome: Promise<string>
  finish(): void
}

/** Work that ends on command; `begun` has the callers in the order of their start. */
function workshop(slots: FairSlots): { begun: string[]; job: (caller: string) => Job } {
  const begun: string[] = []
  return {
    begun,
    job(caller) {
      const { promise, resolve } = Promise.withResolvers<string>()
      const outcome = slots
        .run(caller, () => {
          begun.push(caller)
          return promise
        })
        .catch((error: unknown) => (error as { code: string }).code)
      return {
        outcome,
        finish() {
          resolve('done')
        },
      }
    },
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('slots', () => {
  test('are limited in total and for each caller; waiting ones run later', async () => {
    const { begun, job } = workshop(createFairSlots(LIMITS, new VirtualClock()))
    const jobs = ['a', 'a', 'a', 'b', 'b'].map(job)
    expect(begun).toEqual(['a', 'a', 'b'])
    jobs[0]!.finish()
    await settle()
    expect(begun).toEqual(['a', 'a', 'b', 'a'])
    for (const one of jobs) one.finish()
    expect(await Promise.all(jobs.map(({ outcome }) => outcome))).toEqual(Array(5).fill('done'))
    expect(begun).toHaveLength(5)
  })

  test('the next slot goes to the caller with the fewest', async () => {
    const { begun, job } = workshop(createFairSlots({ ...LIMITS, max: 2 }, new VirtualClock()))
    const jobs = ['a', 'a', 'a', 'a', 'b'].map(job)
    jobs[0]!.finish()
    await settle()
    expect(begun).toEqual(['a', 'a', 'b'])
  })

  test('a caller with too much waiting is refused, and so is everyone if the queue is full', async () => {
    const { job } = workshop(createFairSlots(LIMITS, new VirtualClock()))
    const mine = Array.from({ length: 7 }, () => job('a'))
    expect(await mine[6]!.outcome).toBe('ERR_BUSY')
    const others = ['b', 'b', 'b'].map(job) // one begins, two wait: now six wait
    const third = job('c') // has less waiting than a: the newest of a's goes
    expect(await mine[5]!.outcome).toBe('ERR_BUSY')
    for (const one of [...mine, ...others, third]) one.finish()
    expect(await third.outcome).toBe('done')
    expect(await others[2]!.outcome).toBe('done')
  })

  test('work that has waited too long is not started', async () => {
    const clock = new VirtualClock()
    const { begun, job } = workshop(createFairSlots({ ...LIMITS, max: 1 }, clock))
    const [first, late] = ['a', 'a'].map(job)
    await clock.advance(1001)
    first!.finish()
    expect(await late!.outcome).toBe('ERR_BUSY')
    expect(begun).toEqual(['a'])
  })

  test('work that fails frees its slot and passes its error on', async () => {
    const slots = createFairSlots({ ...LIMITS, max: 1 }, new VirtualClock())
    const broken = slots.run('a', () => Promise.reject(new TypeError('broken')))
    await expect(broken).rejects.toThrow(TypeError)
    expect(await slots.run('a', () => Promise.resolve('fine'))).toBe('fine')
  })
})
