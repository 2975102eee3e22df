import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { EventHeap } from './event-heap.ts'

const moment = fc.integer({ min: 0, max: 1000 })

test('always returns the earliest event, each pod having one', () => {
  fc.assert(
    fc.property(
      fc.array(moment, { minLength: 1, maxLength: 40 }),
      fc.array(moment, { maxLength: 100 }),
      (starts, delays) => {
        const heap = new EventHeap(Float64Array.from(starts))
        const dueMs = [...starts]
        for (const delayMs of delays) {
          expect(heap.earliestMs).toBe(Math.min(...dueMs))
          expect(dueMs[heap.pod]).toBe(heap.earliestMs)
          const { pod } = heap
          dueMs[pod] = heap.earliestMs + delayMs
          heap.replace(dueMs[pod])
        }
        expect(heap.earliestMs).toBe(Math.min(...dueMs))
      },
    ),
  )
})
