import { expect, test } from '@jest/globals'
import { sleep } from '../../shared/base/clock.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import type { ApiAnswer, Apiserver } from './apiserver.ts'
import { allStay, askWebhook, reached } from './reached.ts'

const MINUTE = { limitMs: 60_000 }

/** How long it takes until `attempt` counts as reached, by a clock that moves with each wait; undefined: an error. */
async function msUntilReached(attempt: (atMs: number) => Promise<void>) {
  const clock = new VirtualClock(0)
  let endedMs: number | undefined
  const waiting = reached('it', () => attempt(clock.monotonic()), { clock, ...MINUTE }).then(() => {
    endedMs = clock.monotonic()
  })
  waiting.catch(() => undefined)
  await clock.advance(2 * MINUTE.limitMs)
  await waiting
  return endedMs
}

const refused = (): Promise<void> => Promise.reject(new Error('connection refused'))
const answered = (): Promise<void> => Promise.resolve()

test('reached: six rounds in sequence, half a second apart', async () => {
  expect(await msUntilReached(answered)).toBe(2500)
})

test('one failure among many at once begins the count again', async () => {
  let asked = 0
  const last = (atMs: number): Promise<void> =>
    atMs === 2500 && (asked += 1) === 3 ? refused() : answered()
  expect(await msUntilReached(last)).toBe(3000 + 2500)
})

test('a server that never answers is not reached, and the error says what and why', async () => {
  await expect(msUntilReached(refused)).rejects.toThrow(
    'it was not reached in 60 s: connection refused',
  )
})

test('a server that answers every other time is not reached', async () => {
  const flapping = (atMs: number): Promise<void> => (atMs % 1000 < 500 ? answered() : refused())
  await expect(msUntilReached(flapping)).rejects.toThrow(
    'it was not reached in 60 s: connection refused',
  )
})

test('a slow server is reached, however long its rounds take', async () => {
  const clock = new VirtualClock(0)
  const slowly = (): Promise<void> => sleep(clock, 20_000)
  const waiting = reached('it', slowly, { clock, ...MINUTE })
  await clock.advance(6 * 20_000 + 5 * 500)
  await waiting
})

test.each<[string, Parameters<typeof allStay>[0], boolean]>([
  ['no slice', [], false],
  ['a slice without endpoints', [{ endpoints: null }], false],
  ['a ready one', [{ endpoints: [{ conditions: { ready: true } }] }], true],
  ['one of unknown readiness, which counts as ready', [{ endpoints: [{}] }], true],
  ['one that is not ready', [{ endpoints: [{}, { conditions: { ready: false } }] }], false],
  [
    'one that terminates, in another slice',
    [{ endpoints: [{}] }, { endpoints: [{ conditions: { ready: true, terminating: true } }] }],
    false,
  ],
])('endpoints that stay: %s', (_, slices, expected) => {
  expect(allStay(slices)).toBe(expected)
})

const answering =
  (answer: ApiAnswer): Apiserver =>
  () =>
    Promise.resolve(answer)
const namespace = (labels?: object): object => ({ metadata: { labels } })

test('the webhook answered if the Namespace has its label, and not otherwise', async () => {
  const enabled = namespace({ 'nocreds.dev/injection': 'enabled' })
  await askWebhook(answering({ status: 201, message: '', body: enabled }))
  const unlabelled = answering({ status: 201, message: '', body: namespace() })
  await expect(askWebhook(unlabelled)).rejects.toThrow('did not ask the webhook')
  const message = 'failed calling webhook "namespaces.nocreds.dev": connection refused'
  const refusal = answering({ status: 500, message, body: {} })
  await expect(askWebhook(refusal)).rejects.toThrow(`500 ${message}`)
})
