import { describe, expect, test } from '@jest/globals'
import type { CredentialDocument } from '../contract/credentials.ts'
import type { Store } from '../exchanger/publish/store.ts'
import { CREDENTIALS } from '../exchanger/sidecar/renewable.ts'
import { fails, type Behaviour } from '../test/fakes/exchanger-harness.ts'
import { collectingLog, documentEnding } from '../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../test/fakes/virtual-clock.ts'
import { SharedRefresh } from './shared-refresh.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A pod's folder in memory. */
interface Folder extends Store<CredentialDocument> {
  written: CredentialDocument[]
  isFull: boolean
}

function folder(found?: CredentialDocument): Folder {
  let current = found
  const made: Folder = {
    written: [],
    isFull: false,
    current: () => current,
    publish(document) {
      if (made.isFull) return Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
      made.written.push(document)
      current = document
      return Promise.resolve()
    },
    withdraw(document) {
      if (current === document) current = undefined
      return Promise.resolve()
    },
  }
  return made
}

function harness(behaviour: (index: number) => Behaviour) {
  const clock = new VirtualClock(undefined, 2)
  const exchangesAtMs: number[] = []
  const tokens: string[] = []
  const unwritten: string[] = []
  const shared = new SharedRefresh({
    renewable: CREDENTIALS,
    clock,
    random: () => 0.5,
    log: collectingLog().log,
    wanted: 'exchange of a role',
    exchange(token, signal) {
      tokens.push(token.jwt)
      return behaviour(exchangesAtMs.push(clock.monotonic()) - 1)(signal)
    },
    onUnwritten: (uid) => unwritten.push(uid),
  })
  const join = (uid: string, store: Folder, jwt = 'token', isServed = false): Promise<unknown> =>
    shared
      .join({
        uid,
        store,
        token: { jwt, expiresAtMs: clock.now() + HOUR, serviceAccountUid: 'uid' },
        isServed,
      })
      .then(
        () => 'joined',
        (error: unknown) => error,
      )
  return { clock, shared, exchangesAtMs, tokens, unwritten, join }
}

const gives =
  (clock: () => VirtualClock, lifeMs = HOUR): Behaviour =>
  () =>
    Promise.resolve(documentEnding(clock().now() + lifeMs))

describe('pods that want the same', () => {
  test('share one exchange, however many they are', async () => {
    const run = harness(() => gives(() => run.clock))
    const folders = Array.from({ length: 100 }, () => folder())
    const joined = Promise.all(folders.map((store, index) => run.join(`pod-${index}`, store)))
    await run.clock.settle()
    expect(new Set(await joined)).toEqual(new Set(['joined']))
    expect(run.exchangesAtMs).toEqual([0])
    expect(folders.every(({ written }) => written.length === 1)).toBe(true)
    await run.clock.advance(40 * MINUTE)
    expect(run.exchangesAtMs).toHaveLength(2)
    expect(folders.every(({ written }) => written.length === 2)).toBe(true)
  })

  test('one that comes later gets what is there', async () => {
    const run = harness(() => gives(() => run.clock))
    const first = run.join('one', folder())
    await run.clock.settle()
    await first
    expect(await run.join('other', folder())).toBe('joined')
    expect(run.exchangesAtMs).toHaveLength(1)
  })

  test('the token that expires last is exchanged', async () => {
    const run = harness(() => gives(() => run.clock))
    void run.join('one', folder(), 'early')
    await run.clock.settle()
    await run.clock.advance(MINUTE)
    await run.join('one', folder(), 'late')
    await run.clock.advance(40 * MINUTE)
    expect(run.tokens).toEqual(['early', 'late'])
  })

  test('the last one that leaves ends everything', async () => {
    const run = harness(() => gives(() => run.clock))
    void run.join('one', folder())
    await run.clock.settle()
    run.shared.leave('one')
    expect(run.shared.isIdle).toBe(true)
    expect(run.clock.pending).toBe(0)
  })

  test('a folder that is full is the trouble of its pod alone', async () => {
    const run = harness(() => gives(() => run.clock))
    const full = folder()
    full.isFull = true
    const joined = [run.join('full', full), run.join('other', folder())]
    await run.clock.settle()
    expect(await Promise.all(joined)).toEqual([
      expect.objectContaining({ code: 'ENOSPC' }),
      'joined',
    ])
    expect(run.unwritten).toEqual(['full'])
    full.isFull = false
    expect(await run.join('full', full)).toBe('joined')
    expect(run.exchangesAtMs).toHaveLength(1)
  })
})

describe('a pod whose kubelet brings no token any more', () => {
  const clock = (): VirtualClock => run.clock
  let run: ReturnType<typeof harness>

  /** The pod `stays` is published again every minute, the pod `silent` never. */
  async function passHours(hours: number, stays: Folder): Promise<void> {
    for (let minute = 0; minute < hours * 60; minute += 1) {
      await run.join('stays', stays)
      await run.clock.advance(MINUTE)
    }
  }

  test('gets nothing new once its last token has expired, and keeps what it has until that expires', async () => {
    run = harness(() => gives(clock))
    const [silent, stays] = [folder(), folder()]
    const joined = [run.join('silent', silent), run.join('stays', stays)]
    await run.clock.settle()
    await Promise.all(joined)
    await passHours(1, stays)
    const last = silent.current()
    expect(last).toEqual(stays.written.at(-1))
    expect(stays.written).toHaveLength(2)
    await passHours(1 / 4, stays)
    expect(silent.current()).toBe(last)
    expect(stays.written.length).toBeGreaterThan(2)
    await passHours(1, stays)
    expect(silent.current()).toBeUndefined()
    expect(silent.written).toHaveLength(2)
  })

  test('is a member again with its next token', async () => {
    run = harness(() => gives(clock))
    const [silent, stays] = [folder(), folder()]
    const joined = [run.join('silent', silent), run.join('stays', stays)]
    await run.clock.settle()
    await Promise.all(joined)
    await passHours(3, stays)
    expect(await run.join('silent', silent, 'token', true)).toBe('joined')
    expect(silent.current()).toBe(stays.current())
    await passHours(2 / 3, stays)
    expect(silent.current()).toBe(stays.current())
  })

  test('leaves no timer when it is gone, or when the driver stops', async () => {
    for (const end of [
      (): void => {
        run.shared.leave('silent')
      },
      (): void => {
        run.shared.stop()
      },
    ]) {
      run = harness(() => gives(clock))
      const [silent, stays] = [folder(), folder()]
      const joined = [run.join('silent', silent), run.join('stays', stays)]
      await run.clock.settle()
      await Promise.all(joined)
      await passHours(1.5, stays)
      run.shared.leave('stays')
      expect(run.shared.isIdle).toBe(false)
      end()
      expect(run.clock.pending).toBe(0)
    }
  })

  test('a clock that is hours ahead of the tokens is no such case', async () => {
    run = harness(() => gives(clock))
    const store = folder()
    const republish = (): Promise<unknown> =>
      run.shared.join({
        uid: 'one',
        store,
        token: { jwt: 'token', expiresAtMs: 1, serviceAccountUid: 'uid' },
        isServed: true,
      })
    for (let minute = 0; minute < 120; minute += 1) {
      await republish()
      await run.clock.advance(MINUTE)
    }
    expect(store.written.length).toBeGreaterThan(1)
  })
})

describe('without credentials', () => {
  test('a refusal is told at once, and remembered for 10 s', async () => {
    const run = harness(() => fails('refused', 'AccessDenied'))
    const first = run.join('one', folder())
    await run.clock.settle()
    expect(await first).toMatchObject({ code: 'AccessDenied' })
    expect(await run.join('one', folder())).toMatchObject({ code: 'AccessDenied' })
    expect(run.exchangesAtMs).toHaveLength(1)
    expect(run.shared.isIdle).toBe(false)
    await run.clock.advance(10_000)
    expect(run.shared.isIdle).toBe(true)
    const again = run.join('one', folder())
    await run.clock.settle()
    expect(await again).toMatchObject({ code: 'AccessDenied' })
    expect(run.exchangesAtMs).toHaveLength(2)
  })

  test('an outage is waited for, 30 s at most', async () => {
    const run = harness((index) => (index < 3 ? fails('transient') : gives(() => run.clock)))
    const joined = run.join('one', folder())
    await run.clock.advance(20_000)
    expect(await joined).toBe('joined')
    const down = harness(() => fails('transient', 'ECONNREFUSED'))
    const refused = down.join('one', folder())
    await down.clock.advance(30_000)
    expect(await refused).toMatchObject({ code: 'ECONNREFUSED' })
    expect(down.clock.pending).toBe(0)
  })

  test('an exchange that hangs is given up', async () => {
    const run = harness(
      () => (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reject(new Error('aborted'))
          })
        }),
    )
    const joined = run.join('one', folder())
    await run.clock.advance(31_000)
    expect(await joined).toMatchObject({ code: 'ExchangeTimeout' })
  })
})

describe('after a restart of the driver', () => {
  const found = (clock: VirtualClock, leftMs: number, keyId: string): CredentialDocument =>
    documentEnding(clock.now() + leftMs, keyId)

  test('what stands in the folders is kept, and replaced in its own time', async () => {
    const run = harness(() => gives(() => run.clock))
    const one = folder(found(run.clock, 50 * MINUTE, 'LEFT'))
    expect(await run.join('one', one)).toBe('joined')
    await run.clock.advance(MINUTE)
    expect(run.exchangesAtMs).toEqual([])
    await run.clock.advance(40 * MINUTE)
    expect(one.written.length).toBeGreaterThan(0)
  })

  test('no other pod gets it', async () => {
    const run = harness(() => gives(() => run.clock))
    expect(await run.join('one', folder(found(run.clock, 50 * MINUTE, 'PLANTED')))).toBe('joined')
    const other = folder()
    const joined = run.join('other', other)
    await run.clock.settle()
    expect(await joined).toBe('joined')
    expect(other.written.map(({ AccessKeyId }) => AccessKeyId)).toEqual(['KEY-1'])
  })

  test('a new pod is told of a refusal while the others keep what they have', async () => {
    const run = harness(() => fails('refused', 'AccessDenied'))
    const one = folder(found(run.clock, 50 * MINUTE, 'LEFT'))
    await run.join('one', one)
    const other = run.join('other', folder())
    await run.clock.settle()
    expect(await other).toMatchObject({ code: 'AccessDenied' })
    expect(one.current()).toMatchObject({ AccessKeyId: 'LEFT' })
    await run.clock.advance(HOUR)
    expect(one.current()).toBeUndefined()
  })

  test('the pod whose credentials expire first decides when', async () => {
    const run = harness(() => gives(() => run.clock))
    await run.join('one', folder(found(run.clock, 11 * HOUR, 'LATE')))
    await run.join('other', folder(found(run.clock, 20 * MINUTE, 'SOON')))
    await run.clock.advance(10 * MINUTE)
    expect(run.exchangesAtMs).toHaveLength(1)
  })
})

test('nobody waits for a pod that runs already, and it gets what comes', async () => {
  const run = harness((index) => (index < 2 ? fails('transient') : gives(() => run.clock)))
  const store = folder()
  expect(await run.join('one', store, 'token', true)).toBe('joined')
  expect(store.written).toEqual([])
  await run.clock.advance(20_000)
  expect(store.written).toHaveLength(1)
})

test('credentials that STS does not renew are withdrawn from every folder when they expire', async () => {
  const clock = (): VirtualClock => run.clock
  const run = harness((index) => (index === 0 ? gives(clock) : fails('transient')))
  const folders = [folder(), folder()]
  const joined = folders.map((store, index) => run.join(`pod-${index}`, store))
  await run.clock.settle()
  await Promise.all(joined)
  await run.clock.advance(HOUR)
  expect(folders.map((store) => store.current())).toEqual([undefined, undefined])
})
