import { expect, test } from '@jest/globals'
import { limitConcurrency } from './concurrency.ts'

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
