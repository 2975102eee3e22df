/** The simulated pod does what the real resident does, to the millisecond. */
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { publishedExpirationMs } from '../../contract/credentials.ts'
import { fails, createHarness } from '../../test/fakes/exchanger-harness.ts'
import { documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { simulateFleet } from './fleet.ts'
import { stsWith, type Outage, type Sts } from './sts.ts'

const MINUTE = 60_000
const DURATION_MS = 180 * MINUTE

interface Run {
  readonly callsAtMs: number[]
  readonly lapses: number
  readonly isOver: boolean
}

async function runSidecar(lifetimeMs: number, outage: Outage, seed: number): Promise<Run> {
  const clock = new VirtualClock(0, 1)
  const random = seededRandom(seed)
  random() // as a fleet draws the moment of its start
  const isThere = stsWith(outage, undefined)
  const harness = createHarness({
    clock,
    random,
    behaviour: () => (signal) =>
      isThere(clock.now())
        ? Promise.resolve(
            documentEnding(publishedExpirationMs(clock.now() + lifetimeMs, lifetimeMs)),
          )
        : fails('transient')(signal),
  })
  harness.refresher.start()
  await clock.advance(DURATION_MS - 1)
  harness.refresher.stop()
  return {
    callsAtMs: harness.exchangesAtMs,
    lapses: harness.lines.filter(({ msg }) => msg.startsWith('credentials expired')).length,
    isOver: harness.gaveUp.length > 0,
  }
}

function runSimulated(lifetimeMs: number, outage: Outage, seed: number): Run {
  const callsAtMs: number[] = []
  const isThere = stsWith(outage, undefined)
  const sts: Sts = (nowMs) => {
    callsAtMs.push(nowMs)
    return isThere(nowMs)
  }
  const random = seededRandom(seed)
  const options = { pods: 1, startSpreadMs: 0, durationMs: DURATION_MS, lifetimeMs, sts, random }
  return { callsAtMs, lapses: simulateFleet(options).lapses, isOver: false }
}

test('a fleet of one calls when Refresher does, through any outage', async () => {
  const scenario = {
    lifetimeMs: fc.constantFrom(900_000, 1_800_000, 3_600_000),
    fromMs: fc.integer({ min: 0, max: 60 * MINUTE }),
    lengthMs: fc.integer({ min: 0, max: 100 * MINUTE }),
    seed: fc.integer(),
  }
  let compared = 0
  await fc.assert(
    fc.asyncProperty(fc.record(scenario), async ({ lifetimeMs, fromMs, lengthMs, seed }) => {
      const outage = { fromMs, toMs: fromMs + lengthMs }
      const real = await runSidecar(lifetimeMs, outage, seed)
      const simulated = runSimulated(lifetimeMs, outage, seed)
      compared += real.callsAtMs.length
      // A process that gave up calls no more; the kubelet's next one is not part of this.
      const callsAtMs = real.isOver
        ? simulated.callsAtMs.slice(0, real.callsAtMs.length)
        : simulated.callsAtMs
      expect(callsAtMs).toEqual(real.callsAtMs)
      if (!real.isOver) expect(simulated.lapses).toBe(real.lapses)
    }),
    { numRuns: 60 },
  )
  expect(compared).toBeGreaterThan(500)
})
