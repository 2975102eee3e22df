import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { expirationOf, publishedExpirationMs } from '../../contract/credentials.ts'
import { sleep } from '../../shared/base/clock.ts'
import {
  fails,
  createHarness,
  type Behaviour,
  type Harness,
} from '../../test/fakes/exchanger-harness.ts'
import { documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

type Answer =
  | { readonly kind: 'credentials'; readonly lifeSeconds: number; readonly delayMs: number }
  | { readonly kind: 'transient' | 'token' | 'refused'; readonly delayMs: number }
  | { readonly kind: 'never' }

/** Half of the responses are immediate, some take longer than an exchange may. */
const anyDelayMs = (max: number): fc.Arbitrary<number> =>
  fc.oneof(fc.constant(0), fc.integer({ min: 0, max }))

const anyAnswer: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({
    kind: fc.constant('credentials' as const),
    lifeSeconds: fc.oneof(
      fc.integer({ min: -3600, max: 43_200 }),
      fc.integer({ min: -5, max: 300 }),
      fc.integer({ min: 900, max: 1900 }),
    ),
    delayMs: anyDelayMs(90 * SECOND),
  }),
  fc.record({
    kind: fc.constantFrom('transient', 'token', 'refused'),
    delayMs: anyDelayMs(90 * SECOND),
  }),
  fc.constant({ kind: 'never' as const }),
)

function behaviourOf(answer: Answer, clock: VirtualClock, keyId: string): Behaviour {
  return async (signal) => {
    if (answer.kind === 'never') return new Promise(() => undefined)
    const askedAtMs = clock.now()
    if (answer.delayMs > 0) await sleep(clock, answer.delayMs)
    if (answer.kind !== 'credentials') return fails(answer.kind)(signal)
    const lifeMs = answer.lifeSeconds * SECOND
    return documentEnding(publishedExpirationMs(askedAtMs + lifeMs, lifeMs), keyId)
  }
}

function harnessOf(
  answers: readonly Answer[],
  seed: number,
  isOpen: boolean,
): [Harness, VirtualClock] {
  const clock = new VirtualClock(undefined, 1)
  const harness = createHarness({
    clock,
    random: seededRandom(seed),
    behaviour: (n) => behaviourOf(answers[n % answers.length]!, clock, `KEY-${n}`),
    ...(isOpen ? { found: documentEnding(clock.now() + 20 * MINUTE, 'FOUND') } : {}),
  })
  harness.refresher.start()
  return [harness, clock]
}

const seed = fc.integer()

describe('whatever STS does', () => {
  test('expired credentials are never published or kept', async () => {
    const steps = fc.array(fc.integer({ min: 1, max: 20 * MINUTE }), {
      minLength: 10,
      maxLength: 25,
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyAnswer, { minLength: 1, maxLength: 8 }),
        steps,
        seed,
        fc.boolean(),
        async (answers, advancesMs, random, isOpen) => {
          const [harness, clock] = harnessOf(answers, random, isOpen)
          for (const ms of advancesMs) {
            await clock.advance(ms)
            const document = harness.current()
            if (document !== undefined) expect(expirationOf(document)).toBeGreaterThan(clock.now())
          }
          expect(harness.mostUnderWay).toBeLessThanOrEqual(1)
          const numbers = harness.published.map(({ document }) =>
            Number(document.AccessKeyId.slice(4)),
          )
          expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
          harness.refresher.stop()
        },
      ),
      { numRuns: 150 },
    )
  })

  test('nor is an expired one published, wherever clocks jump meanwhile', async () => {
    const jump = fc.record({
      advanceMs: fc.integer({ min: 1, max: 10 * MINUTE }),
      jumpMs: fc.integer({ min: -HOUR, max: HOUR }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyAnswer, { minLength: 1, maxLength: 8 }),
        fc.array(jump, { minLength: 5, maxLength: 15 }),
        seed,
        async (answers, jumps, random) => {
          const [harness, clock] = harnessOf(answers, random, true)
          for (const { advanceMs, jumpMs } of jumps) {
            await clock.advance(advanceMs)
            clock.jumpWall(jumpMs)
            await clock.advance(30 * SECOND) // the longest sleep
            const document = harness.current()
            if (document !== undefined) expect(expirationOf(document)).toBeGreaterThan(clock.now())
          }
          harness.refresher.stop()
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('while STS is reachable and grants lifetimes of 30 minutes or more', () => {
  test('more than 15 minutes are always left by the published Expiration', async () => {
    const reachable = fc.record({
      kind: fc.constant('credentials' as const),
      lifeSeconds: fc.oneof(
        fc.integer({ min: 1800, max: 43_200 }),
        fc.integer({ min: 1800, max: 2500 }),
      ),
      delayMs: anyDelayMs(29 * SECOND),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(reachable, { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 20 * MINUTE }), { minLength: 10, maxLength: 40 }),
        seed,
        async (answers, advancesMs, random) => {
          const [harness, clock] = harnessOf(answers, random, false)
          await clock.advance(30 * SECOND)
          for (const ms of advancesMs) {
            await clock.advance(ms)
            const left = expirationOf(harness.current()!) - clock.now()
            expect(left).toBeGreaterThan(15 * MINUTE)
          }
          for (const { lastLeftMs } of harness.published.slice(1)) {
            expect(lastLeftMs).toBeGreaterThan(15 * MINUTE)
          }
          harness.refresher.stop()
        },
      ),
      { numRuns: 150 },
    )
  })
})
