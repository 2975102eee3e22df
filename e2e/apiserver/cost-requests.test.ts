import { expect, test } from '@jest/globals'
import { costRow, type Cost } from './cost-requests.ts'

const cost = (tookMs: readonly number[], cpuMs: number): Cost => ({ tookMs, cpuMs })

test('a row: medians with p95, their difference, and processor time for each request', () => {
  const without = cost([1, 2, 3, 50], 20)
  const row = costRow('create', without, cost([4, 5.5, 6, 90], 41))
  expect(row).toBe('| create | 2.0 (50.0) | 5.5 (90.0) | 3.5 | 5.0 | 10.3 |')
})

test('no difference has no sign', () => {
  expect(costRow('same', cost([2.04], 1), cost([2], 1))).toBe(
    '| same | 2.0 (2.0) | 2.0 (2.0) | 0.0 | 1.0 | 1.0 |',
  )
})
