import { expect, test } from '@jest/globals'
import type { Clock } from '../../shared/base/clock.ts'
import { createHarness } from '../../test/fakes/exchanger-harness.ts'
import { documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'

const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR

test('a sidecar with good credentials wakes up no more than once in 10 seconds', async () => {
  const clock = new VirtualClock()
  let wakeUps = 0
  const counted: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delayMs, action) =>
      clock.after(delayMs, () => {
        wakeUps += 1
        action()
      }),
  }
  const { refresher, published } = createHarness({
    clock: counted,
    random: () => 0.5,
    behaviour: () => () => Promise.resolve(documentEnding(clock.now() + HOUR)),
  })
  refresher.start()
  await clock.advance(DAY)
  refresher.stop()
  expect(published.length).toBeGreaterThan(DAY / HOUR)
  expect(wakeUps).toBeGreaterThan(0)
  expect(wakeUps).toBeLessThanOrEqual(DAY / (10 * SECOND))
})
