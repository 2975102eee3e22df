import { beforeEach, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { inMemoryKube } from '../../test/fakes/apiserver-in-memory.ts'
import { ApiserverStore } from '../../test/fakes/apiserver-store.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import type { LogFields, Logger } from '../base/log.ts'
import {
  CHECK_MS,
  createRotatingSecret,
  type RotatingSecret,
  type RotatingSecretOptions,
} from './rotating-secret.ts'

const PATH = '/api/v1/namespaces/nocreds-system/secrets/count'

/** A state that counts up to a goal, one step at a time. */
interface Count {
  readonly count: string
}

interface Active {
  readonly count: number
}

let store: ApiserverStore
let clock: VirtualClock
let lines: LogFields[]
let replicas: RotatingSecret<Active>[] = []

beforeEach(setUp)

function setUp(): void {
  for (const one of replicas) one.stop()
  store = new ApiserverStore()
  store.write(PATH, { metadata: { name: 'count' } })
  clock = new VirtualClock()
  lines = []
  replicas = []
}

type Options = RotatingSecretOptions<Count, 'reset' | 'add', Active>

function replica(goal: number, given: Partial<Options> = {}): RotatingSecret<Active> {
  const note = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const made = createRotatingSecret<Count, 'reset' | 'add', Active>({
    kube: inMemoryKube(store, () => Promise.resolve()),
    path: PATH,
    keys: { count: 'count' },
    overlapMs: 5 * CHECK_MS,
    messages: { applied: 'applied', failed: 'failed' },
    nextStep(state) {
      if (state === undefined) return 'reset'
      return Number(state.count) < goal ? 'add' : 'up-to-date'
    },
    applyStep: (step, state) =>
      Promise.resolve({ count: step === 'reset' ? '0' : String(Number(state?.count) + 1) }),
    activate(state, before) {
      const count = Number(state.count)
      return Promise.resolve(before?.count === count ? before : { count })
    },
    onActivated(active) {
      lines.push({ active: active.count })
    },
    clock,
    log,
    ...given,
  })
  replicas.push(made)
  return made
}

test('a check applies the steps that are due, one write each', async () => {
  const one = replica(3)
  await one.check()
  expect(one.current()).toEqual({ count: 3 })
  expect(lines).toEqual([
    { step: 'reset', wrote: true },
    ...Array.from({ length: 3 }, () => ({ step: 'add', wrote: true })),
    { active: 3 },
  ])
})

test('more steps than one check allows is an error; the active one stays', async () => {
  let goal = 1
  const one = replica(0, {
    nextStep: (state) =>
      state === undefined ? 'reset' : Number(state.count) < goal ? 'add' : 'up-to-date',
  })
  await one.check()
  const before = one.current()
  goal = Infinity
  await expect(one.check()).rejects.toMatchObject({ code: 'ERR_ROTATION_UNSTABLE' })
  expect(one.current()).toBe(before)
})

test('law: whatever the order of their calls, replicas end with one state, and none overwrites another', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 1 }),
      async (scheduler, count, goal) => {
        setUp()
        const kube = inMemoryKube(store, () => scheduler.schedule(Promise.resolve()))
        const all = Array.from({ length: count }, () => replica(goal, { kube }))
        const checks = Promise.all(all.map((one) => one.check()))
        await scheduler.waitFor(checks)
        expect(all.map((one) => one.current())).toEqual(all.map(() => ({ count: goal })))
        expect(lines.filter(({ wrote }) => wrote === true)).toHaveLength(goal + 1)
      },
    ),
    { numRuns: 50 },
  )
})

test('listeners hear of a change only; the same object means none', async () => {
  const one = replica(1)
  const heard: Active[] = []
  one.onChange((active) => heard.push(active))
  await one.check()
  await one.check()
  expect(heard).toEqual([{ count: 1 }])
})

test('a failed check is repeated soon, one that succeeds after the regular interval', async () => {
  store.remove(PATH)
  const one = replica(0)
  const first = one.start()
  await clock.advance(0)
  expect(lines).toEqual([{ error: expect.stringContaining(PATH) as unknown }])
  store.write(PATH, { metadata: { name: 'count' } })
  await clock.advance(2000)
  expect(await first).toEqual({ count: 0 })
  const before = store.revision
  store.write(PATH, { metadata: { name: 'count' } })
  await clock.advance(CHECK_MS - 1)
  expect(store.revision).toBe(before + 1)
  await clock.advance(1)
  expect(store.revision).toBe(before + 2)
})

test('a short overlap has more checks; stop ends them at once', async () => {
  const one = replica(0, { overlapMs: 5000 })
  await Promise.all([one.start(), clock.advance(0)])
  const before = store.revision
  store.write(PATH, { metadata: { name: 'count' } })
  await clock.advance(1000)
  expect(store.revision).toBe(before + 2)
  one.stop()
  expect(clock.pending).toBe(0)
})
