import { describe, expect, test } from '@jest/globals'
import { expirationOf, publishedExpirationMs } from '../../contract/credentials.ts'
import { sleep } from '../../shared/base/clock.ts'
import {
  fails,
  createHarness,
  type Behaviour,
  type Harness,
  type HarnessOptions,
} from '../../test/fakes/exchanger-harness.ts'
import { documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** When credentials of an hour are replaced, for a random value of 0.5: between 19 and 38 minutes. */
const MIDDLE_OF_HOUR_MS = 28.5 * MINUTE

/** An exchange with this lifetime, after this delay. */
type Gives = (lifeMs: number, delayMs?: number, keyId?: string) => Behaviour

interface Play extends Harness {
  readonly clock: VirtualClock
}

interface PlayOptions extends Partial<HarnessOptions> {
  /** What an earlier process left expires in this many milliseconds, as published. */
  readonly foundLeftMs?: number
}

/** Starts a refresher whose exchanges follow the script, one after the other; the last one repeats. */
async function run(
  script: (gives: Gives) => readonly Behaviour[],
  { foundLeftMs, ...options }: PlayOptions = {},
): Promise<Play> {
  const clock = new VirtualClock(undefined, 2)
  const exchanges = script((lifeMs, delayMs = 0, keyId) => async () => {
    const askedAtMs = clock.now()
    if (delayMs > 0) await sleep(clock, delayMs)
    return documentEnding(publishedExpirationMs(askedAtMs + lifeMs, lifeMs), keyId)
  })
  const found =
    foundLeftMs === undefined ? {} : { found: documentEnding(clock.now() + foundLeftMs, 'FOUND') }
  const harness = createHarness({
    clock,
    random: () => 0.5,
    behaviour: (n) => exchanges[n] ?? exchanges.at(-1)!,
    ...found,
    ...options,
  })
  harness.refresher.start()
  await clock.settle()
  return Object.assign(harness, { clock })
}

const never: Behaviour = () => new Promise(() => undefined)
const down = fails('transient')
const failures = (harness: Harness): unknown[] =>
  harness.lines.filter(({ msg }) => msg === 'exchange failed')

describe('before the first credentials', () => {
  test('they are fetched immediately, and open the gate', async () => {
    const harness = await run((gives) => [gives(HOUR)])
    expect(harness.exchangesAtMs).toEqual([0])
    expect(harness.published).toHaveLength(1)
    expect(harness.refresher.isGateClosed).toBe(false)
  })

  test('a refusal gives up at once', async () => {
    const harness = await run(() => [fails('refused', 'AccessDenied')])
    expect(harness.gaveUp).toMatchObject([{ code: 'AccessDenied' }])
    await harness.clock.advance(HOUR)
    expect(harness.exchangesAtMs).toEqual([0])
    expect(harness.clock.pending).toBe(0)
  })

  test.each(['transient', 'token'] as const)('%s failures are retried for 30 s', async (kind) => {
    const harness = await run(() => [fails(kind)])
    await harness.clock.advance(30 * SECOND - 1)
    expect(harness.gaveUp).toEqual([])
    await harness.clock.advance(1)
    expect(harness.gaveUp).toMatchObject([{ failureClass: kind }])
    expect(harness.clock.pending).toBe(0)
  })

  test('STS that is down at start and comes up is waited for', async () => {
    const harness = await run((gives) => [down, down, down, down, gives(HOUR)])
    await harness.clock.advance(29 * SECOND)
    expect(harness.gaveUp).toEqual([])
    expect(harness.published).toHaveLength(1)
    expect(failures(harness)).toMatchObject([
      { attempt: 1, retryInMs: 750 },
      { attempt: 2, retryInMs: 1500 },
      { attempt: 3, retryInMs: 3000 },
      { attempt: 4, retryInMs: 6000 },
    ])
  })

  test('an exchange with an STS that never responds is aborted', async () => {
    let aborted = false
    const harness = await run(() => [
      (signal) => {
        signal.addEventListener('abort', () => (aborted = true))
        return never(signal)
      },
    ])
    await harness.clock.advance(31 * SECOND)
    expect(harness.gaveUp).toMatchObject([{ code: 'ExchangeTimeout', failureClass: 'transient' }])
    expect(aborted).toBe(true)
  })
})

describe('refreshing', () => {
  test('before expiry, for ever', async () => {
    const harness = await run((gives) => [gives(HOUR)])
    await harness.clock.advance(10 * HOUR)
    expect(harness.exchangesAtMs).toEqual(
      Array.from({ length: 22 }, (_, n) => n * MIDDLE_OF_HOUR_MS),
    )
  })

  test('while nothing is due, a timer fires at most once in 10 s', async () => {
    const harness = await run((gives) => [gives(HOUR)])
    let timers = 0
    const after = harness.clock.after.bind(harness.clock)
    harness.clock.after = (delayMs, action) => {
      timers += 1
      expect(delayMs).toBeLessThanOrEqual(30 * SECOND)
      return after(delayMs, action)
    }
    await harness.clock.advance(29 * MINUTE)
    expect(timers).toBeGreaterThan(50)
    expect(timers).toBeLessThanOrEqual((29 * MINUTE) / (10 * SECOND))
  })

  test('valid credentials stay while STS is down, and are removed exactly at their published expiry', async () => {
    const harness = await run((gives) => [gives(HOUR), down])
    await harness.clock.advance(55 * MINUTE - 1)
    expect(harness.current()).toBeDefined()
    await harness.clock.advance(1)
    expect(harness.current()).toBeUndefined()
    await harness.clock.advance(5 * HOUR)
    expect(harness.gaveUp).toEqual([])
  })

  test('down for longer than the lifetime: back within two and a half minutes after STS', async () => {
    let isDown = false
    const harness = await run((gives) => [(signal) => (isDown ? down : gives(HOUR))(signal)])
    isDown = true
    await harness.clock.advance(3 * HOUR)
    expect(harness.current()).toBeUndefined()
    isDown = false
    await harness.clock.advance(2.5 * MINUTE)
    expect(harness.current()).toBeDefined()
  })

  test('a refusal later on does not end the process, and is retried every few minutes', async () => {
    const harness = await run((gives) => [gives(HOUR), fails('refused')])
    await harness.clock.advance(3 * HOUR)
    expect(harness.gaveUp).toEqual([])
    const gapsMs = harness.exchangesAtMs.slice(2).map((ms, n) => ms - harness.exchangesAtMs[n + 1]!)
    expect(Math.max(...gapsMs)).toBe(3.75 * MINUTE) // 26 minutes are left, by chance of 0.5
    expect(Math.min(...gapsMs)).toBe(1.875 * MINUTE) // none are left
  })

  test('success resets the backoff', async () => {
    const down7 = Array.from({ length: 7 }, () => down)
    const harness = await run((gives) => [gives(HOUR), ...down7, gives(HOUR), down])
    await harness.clock.advance(90 * MINUTE)
    const attempts = harness.lines.filter((line) => line['attempt'] !== undefined)
    expect(attempts.map((line) => line['attempt']).slice(0, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 1])
  })

  test('each failure is one log line with all fields', async () => {
    const harness = await run((gives) => [gives(HOUR), down, gives(HOUR)])
    await harness.clock.advance(40 * MINUTE)
    expect(failures(harness)).toEqual([
      {
        time: expect.any(String),
        level: 'warn',
        msg: 'exchange failed',
        role: 'arn:aws:iam::111122223333:role/app',
        namespace: 'team-a',
        serviceAccount: 'app',
        code: 'SomeCode',
        class: 'transient',
        error: 'it failed: SomeCode',
        hint: 'Look.',
        attempt: 1,
        retryInMs: 19_875,
      },
    ])
  })

  test('a slow exchange is not repeated', async () => {
    const harness = await run((gives) => [gives(30 * MINUTE, 25 * SECOND)])
    await harness.clock.advance(5 * HOUR)
    expect(harness.mostUnderWay).toBe(1)
    expect(harness.published.length).toBeGreaterThan(20)
  })

  test('a late result never replaces a newer one', async () => {
    const harness = await run((gives) => [
      gives(HOUR),
      gives(12 * HOUR, 50 * SECOND, 'LATE'),
      gives(HOUR, 0, 'NEWER'),
    ])
    await harness.clock.advance(45 * MINUTE)
    expect(harness.published.map(({ document }) => document.AccessKeyId)).toEqual([
      'KEY-1',
      'NEWER',
    ])
    expect(failures(harness)).toMatchObject([{ code: 'ExchangeTimeout', class: 'transient' }])
  })

  test('credentials that have already expired are a failure, not published', async () => {
    const harness = await run((gives) => [gives(HOUR), gives(-HOUR)])
    await harness.clock.advance(2 * HOUR)
    expect(harness.published).toHaveLength(1)
    expect(failures(harness)[0]).toMatchObject({ code: 'ExpiredOnArrival', class: 'transient' })
  })

  test('stop ends everything immediately', async () => {
    const harness = await run((gives) => [gives(HOUR), gives(HOUR, 20 * SECOND)])
    await harness.clock.advance(MIDDLE_OF_HOUR_MS + 15 * SECOND)
    expect(harness.underWay).toBe(1)
    harness.refresher.stop()
    await harness.clock.advance(HOUR)
    expect(harness.published).toHaveLength(1)
    expect(harness.clock.pending).toBe(0)
  })
})

describe('a token that failed', () => {
  const ended = fails('token', 'ExpiredTokenException')

  test('is waited for at most 10 s after the new one', async () => {
    const harness: Play = await run((gives) => [
      gives(HOUR),
      (signal) => (harness.token === 'token-1' ? ended : gives(HOUR))(signal),
    ])
    await harness.clock.advance(MIDDLE_OF_HOUR_MS + 20 * SECOND)
    const before = harness.exchangesAtMs.length
    harness.token = 'token-2'
    await harness.clock.advance(10 * SECOND)
    expect(harness.exchangesAtMs).toHaveLength(before + 1)
    expect(harness.published).toHaveLength(2)
  })

  test('is checked at most every 10 s, and retried every few minutes anyway', async () => {
    const harness = await run((gives) => [gives(HOUR), fails('token')])
    await harness.clock.advance(MIDDLE_OF_HOUR_MS)
    const { looks } = harness
    expect(harness.exchangesAtMs).toHaveLength(2)
    await harness.clock.advance(10 * MINUTE)
    expect(harness.exchangesAtMs).toHaveLength(4)
    expect(harness.looks - looks).toBeLessThanOrEqual(7 * 10)
  })

  test('rotated during the exchange: the new one is used within 10 s', async () => {
    const harness: Play = await run((gives) => [
      gives(HOUR),
      (signal) => {
        harness.token = 'token-2'
        return ended(signal)
      },
      gives(HOUR),
    ])
    await harness.clock.advance(MIDDLE_OF_HOUR_MS + 15 * SECOND)
    expect(harness.published).toHaveLength(2)
  })

  test('missing at startup: the first one is used within 10 s', async () => {
    const missing = fails('token', 'TokenMissing')
    const harness = await run((gives) => [missing, gives(HOUR)], { token: undefined })
    expect(failures(harness)).toMatchObject([{ code: 'TokenMissing', class: 'token' }])
    harness.token = 'token-1'
    await harness.clock.advance(10 * SECOND)
    expect(harness.published).toHaveLength(1)
  })
})

describe('a volume that is full', () => {
  test('keeps the last valid credentials, and is retried', async () => {
    const harness = await run((gives) => [gives(HOUR, 0, 'GOOD'), gives(HOUR, 0, 'NEXT')])
    harness.onWrite = () => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    }
    await harness.clock.advance(40 * MINUTE)
    expect(harness.current()).toMatchObject({ AccessKeyId: 'GOOD' })
    expect(failures(harness)[0]).toMatchObject({ code: 'ENOSPC', class: 'transient' })
    harness.onWrite = () => undefined
    await harness.clock.advance(MINUTE)
    expect(harness.current()).toMatchObject({ AccessKeyId: 'NEXT' })
    expect(harness.published).toHaveLength(2)
  })
})

describe('clocks', () => {
  test('after a suspend an overdue refresh happens within 30 s', async () => {
    const harness = await run((gives) => [gives(HOUR)])
    await harness.clock.advance(MINUTE)
    harness.clock.suspend(40 * MINUTE)
    await harness.clock.advance(30 * SECOND)
    expect(harness.published).toHaveLength(2)
  })

  test('after a suspend expired credentials are removed within 30 s', async () => {
    const harness = await run((gives) => [gives(HOUR), down])
    harness.clock.suspend(2 * HOUR)
    await harness.clock.advance(30 * SECOND)
    expect(harness.current()).toBeUndefined()
  })

  test('after a clock is set back, credentials are published again', async () => {
    const harness = await run((gives) => [gives(HOUR)])
    await harness.clock.advance(MINUTE)
    harness.clock.jumpWall(-10 * MINUTE)
    await harness.clock.advance(30 * SECOND)
    expect(harness.published).toHaveLength(2)
    await harness.clock.advance(20 * MINUTE)
    expect(harness.published).toHaveLength(2)
  })

  test('set back during an exchange, whose result would then be wrong: requested again', async () => {
    const harness = await run((gives) => [
      gives(HOUR, 0, 'FIRST'),
      gives(HOUR, 2 * SECOND, 'WRONG'),
      gives(HOUR, 0, 'RIGHT'),
    ])
    await harness.clock.advance(MIDDLE_OF_HOUR_MS)
    expect(harness.underWay).toBe(1)
    harness.clock.jumpWall(-10 * MINUTE)
    await harness.clock.advance(3 * SECOND)
    expect(harness.published.map(({ document }) => document.AccessKeyId)).toEqual([
      'FIRST',
      'RIGHT',
    ])
  })

  test.each([-10, 10])(
    'a jump of %d minutes: right within 30 s, and as ever afterwards',
    async (minutes) => {
      const harness = await run((gives) => [gives(30 * MINUTE)])
      await harness.clock.advance(MINUTE)
      harness.clock.jumpWall(minutes * MINUTE)
      await harness.clock.advance(30 * SECOND)
      expect(harness.published).toHaveLength(2)
      for (let minute = 0; minute < 120; minute += 1) {
        await harness.clock.advance(MINUTE)
        const remainingMs = expirationOf(harness.current()!) - harness.clock.now()
        expect(remainingMs).toBeGreaterThan(15 * MINUTE)
        expect(remainingMs).toBeLessThanOrEqual(27 * MINUTE)
      }
      expect(failures(harness)).toEqual([])
    },
  )

  test('a clock that is set back does not extend a lifetime', async () => {
    const harness = await run((gives) => [gives(HOUR), down])
    harness.clock.jumpWall(-10 * HOUR)
    await harness.clock.advance(55 * MINUTE)
    expect(harness.current()).toBeUndefined()
  })
})

describe('after a restart', () => {
  test('remaining credentials are served immediately, and refreshed by their remaining lifetime', async () => {
    const harness = await run((gives) => [gives(HOUR)], { foundLeftMs: 40 * MINUTE })
    expect(harness.current()).toMatchObject({ AccessKeyId: 'FOUND' })
    expect(harness.refresher.isGateClosed).toBe(false)
    expect(harness.exchangesAtMs).toEqual([])
    await harness.clock.advance(23 * MINUTE)
    expect(harness.published).toHaveLength(1)
  })

  test('with little time left they are replaced immediately', async () => {
    const harness = await run((gives) => [gives(HOUR)], { foundLeftMs: 10 * MINUTE })
    expect(harness.exchangesAtMs).toEqual([0])
  })

  test('a refusal does not end the process while they are good', async () => {
    const harness = await run(() => [fails('refused')], { foundLeftMs: 10 * MINUTE })
    await harness.clock.advance(HOUR)
    expect(harness.gaveUp).toEqual([])
    expect(harness.current()).toBeUndefined()
  })
})
