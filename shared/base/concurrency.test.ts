import { expect, test } from '@jest/globals'
import { limitConcurrency, limitConcurrencyPerKey } from './concurrency.ts'

test('a few run concurrently, in order of arrival, and a failure frees its slot, too', async () => {
  const limit = limitConcurrency(3)
  let running = 0
  let most = 0
  const order: number[] = []
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) =>
      limit(async () => {
        running += 1
        most = Math.max(most, running)
        order.push(index)
        await Promise.resolve()
        running -= 1
        if (index % 2 === 0) throw new Error('no')
        return index
      }),
    ),
  )
  expect(most).toBe(3)
  expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10)
})

test('each key has a limit of its own', async () => {
  const limitOf = limitConcurrencyPerKey(1)
  const log: string[] = []
  let release = (): void => undefined
  const held = limitOf('one', () => new Promise<void>((resolve) => (release = resolve)))
  const waiting = limitOf('one', () => Promise.resolve(log.push('one')))
  await limitOf('other', () => Promise.resolve(log.push('other')))
  release()
  await Promise.all([held, waiting])
  expect(log).toEqual(['other', 'one'])
})
