/** The refresher with certificates, on a virtual clock. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { notAfterOf, type CertificateDocument } from '../../contract/certificate-document.ts'
import { sleep } from '../../shared/base/clock.ts'
import { certificateIssued } from '../../test/fakes/exchanger-certificates.ts'
import {
  fails,
  createHarnessFor,
  type Behaviour,
  type Harness,
  type HarnessOptions,
} from '../../test/fakes/exchanger-harness.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { CERTIFICATE } from './renewable.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

type Answers = Behaviour<CertificateDocument>

interface Play extends Harness<CertificateDocument> {
  readonly clock: VirtualClock
}

/** Starts a refresher whose requests follow `behaviour`; `gives` issues for an hour. */
async function run(
  behaviour: (n: number, gives: Answers, clock: VirtualClock) => Answers,
  options: Partial<HarnessOptions<CertificateDocument>> = {},
  clock = new VirtualClock(undefined, 2),
): Promise<Play> {
  const gives: Answers = () => Promise.resolve(certificateIssued(clock.now(), HOUR))
  const harness = createHarnessFor(CERTIFICATE, {
    clock,
    random: () => 0.5,
    behaviour: (n) => behaviour(n, gives, clock),
    ...options,
  })
  harness.refresher.start()
  await clock.settle()
  return Object.assign(harness, { clock })
}

const down = fails('transient')
const refuses = fails('refused', 'name-not-permitted')

describe('a certificate', () => {
  test('is renewed in the middle between 35 % and 45 % of its lifetime, for a random value of 0.5', async () => {
    const harness = await run((_n, gives) => gives)
    await harness.clock.advance(2 * HOUR)
    expect(harness.exchangesAtMs).toEqual([0, 24, 48, 72, 96, 120].map((n) => n * MINUTE))
  })

  test('survives an authority that is down for half a lifetime, whenever that begins', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 120 }), fc.integer(), async (minute, seed) => {
        const fromMs = minute * MINUTE
        const clock = new VirtualClock(undefined, 1)
        const startMs = clock.now() + 1
        const harness = await run(
          (_n, gives) => (signal) => {
            const atMs = clock.now() - startMs
            const isDown = atMs >= fromMs && atMs < fromMs + HOUR / 2
            return isDown ? down(signal) : gives(signal)
          },
          { random: seededRandom(seed) },
          clock,
        )
        for (let step = 0; step < 4 * 60; step += 1) {
          await clock.advance(MINUTE)
          expect(harness.current()).toBeDefined()
        }
        expect(harness.lines.filter(({ msg }) => msg.includes('withdrawn'))).toEqual([])
        harness.refresher.stop()
      }),
      { numRuns: 40 },
    )
  })

  test('is removed exactly at its notAfter, and published again when the authority is back', async () => {
    let isUp = false
    const harness = await run((n, gives) => (n === 0 || isUp ? gives : down))
    await harness.clock.advance(HOUR - 1)
    expect(harness.current()).toBeDefined()
    await harness.clock.advance(1)
    expect(harness.current()).toBeUndefined()
    expect(harness.lines.map(({ msg }) => msg)).toContain('certificate expired and removed')
    expect(harness.gaveUp).toEqual([])
    isUp = true
    await harness.clock.advance(3 * MINUTE)
    expect(harness.current()).toBeDefined()
  })

  test('the first one refused gives up at once, a later one never', async () => {
    const first = await run(() => refuses)
    expect(first.gaveUp).toMatchObject([{ code: 'name-not-permitted' }])
    expect(first.lines.map(({ msg }) => msg)).toEqual([
      'certificate request failed',
      'no initial certificate; giving up',
    ])
    const later = await run((n, gives) => (n === 0 ? gives : refuses))
    await later.clock.advance(3 * HOUR)
    expect(later.gaveUp).toEqual([])
    expect(later.exchangesAtMs.length).toBeGreaterThan(20)
  })

  test('of an earlier process keeps its schedule', async () => {
    const clock = new VirtualClock(undefined, 2)
    const found = certificateIssued(clock.now() - 20 * MINUTE, HOUR, 'FOUND')
    const harness = await run((_n, gives) => gives, { found }, clock)
    expect(harness.refresher.isGateClosed).toBe(false)
    expect(harness.exchangesAtMs).toEqual([])
    await clock.advance(4 * MINUTE)
    expect(harness.exchangesAtMs).toEqual([4 * MINUTE])
    const old = certificateIssued(clock.now() - 50 * MINUTE, HOUR, 'FOUND')
    const late = await run(() => down, { found: old }, clock)
    expect(late.exchangesAtMs).toEqual([0])
    expect(late.current()).toBe(old)
  })

  test('of an authority whose clock is far off is not requested without a delay', async () => {
    const shifted = (ms: number): Promise<Play> =>
      run((_n, _gives, clock) => () => {
        return Promise.resolve(certificateIssued(clock.now() + ms, HOUR))
      })
    const behind = await shifted(-50 * MINUTE)
    await behind.clock.advance(10 * MINUTE)
    expect(behind.exchangesAtMs.length).toBeLessThanOrEqual(4)
    const ahead = await shifted(HOUR)
    await ahead.clock.advance(HOUR)
    expect(ahead.exchangesAtMs.length).toBeLessThanOrEqual(3)
  })
})

test('whatever the authority does, an expired certificate is never published or kept', async () => {
  const answer = fc.record({
    kind: fc.constantFrom('gives', 'gives', 'transient', 'token', 'refused', 'never'),
    lifeSeconds: fc.integer({ min: -100, max: 86_400 }),
    delayMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90 * SECOND })),
  })
  const move = fc.record({
    advanceMs: fc.integer({ min: 1, max: HOUR }),
    jumpMs: fc.oneof(fc.constant(0), fc.integer({ min: -HOUR, max: HOUR })),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { minLength: 1, maxLength: 8 }),
      fc.array(move, { minLength: 5, maxLength: 15 }),
      fc.integer(),
      async (answers, moves, seed) => {
        const clock = new VirtualClock(undefined, 1)
        const found = certificateIssued(clock.now(), HOUR, 'FOUND')
        const harness = await run(
          (n) => async (signal) => {
            const { kind, lifeSeconds, delayMs } = answers[n % answers.length]!
            if (kind === 'never') return new Promise(() => undefined)
            if (delayMs > 0) await sleep(clock, delayMs)
            if (kind !== 'gives') return fails(kind)(signal)
            return certificateIssued(clock.now(), lifeSeconds * SECOND, `N-${n}`)
          },
          { random: seededRandom(seed), found },
          clock,
        )
        for (const { advanceMs, jumpMs } of moves) {
          await clock.advance(advanceMs)
          clock.jumpWall(jumpMs)
          await clock.advance(30 * SECOND) // the longest sleep
          const document = harness.current()
          if (document !== undefined) expect(notAfterOf(document)).toBeGreaterThan(clock.now())
        }
        expect(harness.mostUnderWay).toBeLessThanOrEqual(1)
        harness.refresher.stop()
      },
    ),
    { numRuns: 100 },
  )
})
