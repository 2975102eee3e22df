import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { restartDelayMs } from './kubelet.ts'
import { stsWith } from './sts.ts'

describe('STS', () => {
  test('is down from the first moment of an outage to the last', () => {
    const sts = stsWith({ fromMs: 1000, toMs: 2000 }, undefined)
    expect([999, 1000, 1999, 2000].map(sts)).toEqual([true, false, false, true])
  })

  test('throttled: in any span at most the burst and the refill, and all of that if requested', () => {
    const gapMs = fc.integer({ min: 0, max: 300 })
    fc.assert(
      fc.property(fc.array(gapMs, { minLength: 1, maxLength: 200 }), (gapsMs) => {
        const sts = stsWith(undefined, { perSecond: 10, burst: 5 })
        let nowMs = 0
        const answeredAtMs = gapsMs.map((ms) => (nowMs += ms)).filter(sts)
        answeredAtMs.forEach((toMs, last) => {
          answeredAtMs.slice(0, last + 1).forEach((fromMs, first) => {
            expect(last - first + 1).toBeLessThanOrEqual(5 + (toMs - fromMs) / 100 + 1e-6)
          })
        })
        expect(answeredAtMs.length).toBeGreaterThanOrEqual(Math.min(5, gapsMs.length))
      }),
    )
    const sts = stsWith(undefined, { perSecond: 10, burst: 5 })
    const each = Array.from({ length: 10_000 }, (_, ms) => ms)
    expect(each.filter(sts)).toHaveLength(5 + 99)
  })

  test('calls of an outage take nothing out of the bucket', () => {
    const sts = stsWith({ fromMs: 0, toMs: 1000 }, { perSecond: 1, burst: 1 })
    expect([0, 500, 1000, 1000].map(sts)).toEqual([false, false, true, false])
  })
})

test('the kubelet restarts at once, then after 10 s, doubling to 5 minutes', () => {
  const seconds = [0, 1, 2, 3, 4, 5, 6, 7, 100].map((restarts) => restartDelayMs(restarts) / 1000)
  expect(seconds).toEqual([0, 10, 20, 40, 80, 160, 300, 300, 300])
})
