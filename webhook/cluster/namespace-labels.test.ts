import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import type { Logger } from '../../shared/base/log.ts'
import { createKubeClient } from '../../shared/server/kube/kube.ts'
import { FakeApiserver } from '../../test/fakes/apiserver.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createCachedReader, type CachedReader } from './cached-reader.ts'

const PERMITTED = { 'nocreds.dev/permitted-roles': 'arn:aws:iam::111122223333:role/.+' }
const ENABLED = { 'nocreds.dev/injection': 'enabled' }
/** One and its jitter, and several. */
const SOON_MS = 3000

let api: FakeApiserver
let clock: VirtualClock
let results: string[]
let said: string[]
let readers: CachedReader[]

beforeEach(async () => {
  api = await new FakeApiserver().start()
  clock = new VirtualClock()
  results = []
  said = []
  readers = []
})

afterEach(async () => {
  for (const reader of readers) reader.stop()
  await api.stop()
})

/** One replica of the webhook, once it watches. */
async function start(seed = 1): Promise<CachedReader> {
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook' },
  )
  const say = (_fields: object, text: string): void => void said.push(text)
  const log: Logger = { debug: say, info: say, warn: say, error: say }
  const reader = createCachedReader({
    kube: createKubeClient(config),
    clock,
    random: seededRandom(seed),
    log,
    noteLabel: (result) => void results.push(result),
    noteFromMemory: () => undefined,
  })
  readers.push(reader)
  const watches = api.watches.count
  reader.start()
  await eventually(() => api.watches.count === watches + 2)
  return reader
}

const pathOf = (name: string): string => `/api/v1/namespaces/${name}`

function write(name: string, metadata: object): void {
  api.store.write(pathOf(name), { metadata: { name, ...metadata } })
}

const labelsOf = (name: string): unknown => api.store.present(pathOf(name)).metadata['labels']
const patches = (): number => api.requests.filter(({ method }) => method === 'PATCH').length

/** Until nothing is left to do, as far as the clock goes. */
async function inSync(reader: CachedReader, ms = SOON_MS): Promise<void> {
  await eventually(async () => {
    await clock.advance(ms)
    return reader.namespacesOutOfSync === 0
  })
}

describe('a Namespace that was annotated while the webhook was not called', () => {
  test.each([
    ['roles', PERMITTED],
    ['names of certificates', { 'nocreds.dev/permitted-dns-names': '' }],
  ])('has its label soon after the start: %s', async (_what, annotations) => {
    write('older', { annotations, labels: { a: 'b' } })
    const reader = await start()
    expect(reader.namespacesOutOfSync).toBe(1)
    await inSync(reader)
    expect(labelsOf('older')).toEqual({ a: 'b', ...ENABLED })
    expect(results).toEqual(['label-added'])
    expect(said).toContain('namespace label synced')
  })

  test('has it if it is created later, as by a restore', async () => {
    const reader = await start()
    write('restored', { annotations: PERMITTED })
    await eventually(() => reader.namespacesOutOfSync === 1)
    await inSync(reader)
    expect(labelsOf('restored')).toEqual(ENABLED)
  })

  test('loses it if the annotations were removed', async () => {
    write('former', { labels: { ...ENABLED, a: 'b' } })
    write('blank', { labels: ENABLED, annotations: { 'nocreds.dev/permitted-roles': ' \n' } })
    await inSync(await start())
    expect(labelsOf('former')).toEqual({ a: 'b' })
    expect(labelsOf('blank')).toEqual({})
    expect(results).toEqual(['label-removed', 'label-removed'])
  })

  test('has it, with a log line, if an expression is invalid and so permits nothing', async () => {
    write('broken', { annotations: { 'nocreds.dev/permitted-roles': '(' } })
    await inSync(await start())
    expect(labelsOf('broken')).toEqual(ENABLED)
    expect(said).toContain('namespace has invalid annotations, which permit nothing')
  })
})

describe('not changed', () => {
  test.each<[string, object]>([
    ['in sync', { annotations: PERMITTED, labels: ENABLED }],
    ['nothing of nocreds', { labels: { a: 'b' }, annotations: { 'example.com/a': 'b' } }],
    ['deliveries alone', { annotations: { 'nocreds.dev/permitted-deliveries': 'process' } }],
    ['being deleted', { annotations: PERMITTED, deletionTimestamp: '2026-01-01T00:00:00Z' }],
  ])('%s', async (_what, metadata) => {
    write('team-a', metadata)
    const reader = await start()
    expect(reader.namespacesOutOfSync).toBe(0)
    await clock.advance(60_000)
    expect(patches()).toBe(0)
  })

  test('one that is in sync before its turn', async () => {
    write('older', { annotations: PERMITTED })
    const reader = await start()
    write('older', { annotations: PERMITTED, labels: ENABLED })
    await eventually(() => reader.namespacesOutOfSync === 0)
    await clock.advance(60_000)
    expect(patches()).toBe(0)
  })
})

test('the patch applies only to the Namespace as it was read: a change in between is not overwritten', async () => {
  write('older', { annotations: PERMITTED })
  const reader = await start()
  api.watches.hold()
  api.beforeAnswer = ({ method }) => {
    if (method !== 'PATCH') return
    api.beforeAnswer = () => undefined
    write('older', { annotations: {} })
  }
  await eventually(async () => {
    await clock.advance(SOON_MS)
    return patches() === 1
  })
  await clock.advance(0)
  expect(labelsOf('older')).toBeUndefined()
  api.watches.release()
  await inSync(reader)
  expect(labelsOf('older')).toBeUndefined()
  expect(results).toEqual([])
})

test('two replicas reach the same state, and one of them writes', async () => {
  for (let index = 0; index < 10; index += 1) write(`older-${index}`, { annotations: PERMITTED })
  const [one, other] = [await start(1), await start(2)]
  await inSync(one)
  await inSync(other)
  for (let index = 0; index < 10; index += 1) expect(labelsOf(`older-${index}`)).toEqual(ENABLED)
  expect(results.filter((result) => result === 'label-added')).toHaveLength(10)
})

test('many are changed one at a time, at most five a second', async () => {
  for (let index = 0; index < 40; index += 1) write(`older-${index}`, { annotations: PERMITTED })
  const reader = await start()
  const startedAtMs = clock.monotonic()
  let inFlight = 0
  api.around = async ({ method }, answer) => {
    inFlight += Number(method === 'PATCH')
    expect(inFlight).toBeLessThanOrEqual(1)
    await answer()
    inFlight -= Number(method === 'PATCH')
  }
  await eventually(async () => {
    await clock.advance(100)
    expect(patches()).toBeLessThanOrEqual((clock.monotonic() - startedAtMs) / 200)
    return reader.namespacesOutOfSync === 0
  })
  expect(patches()).toBe(40)
})

test('one that cannot be changed is retried with backoff, and does not delay others', async () => {
  write('refused', { annotations: PERMITTED })
  write('fine', { annotations: PERMITTED })
  api.fault = ({ method, path }) =>
    method === 'PATCH' && path === pathOf('refused') ? 403 : undefined
  const reader = await start()
  await eventually(async () => {
    await clock.advance(1000)
    return results.length >= 2
  })
  expect(labelsOf('fine')).toEqual(ENABLED)
  const before = patches()
  for (let minute = 0; minute < 60; minute += 1) await clock.advance(60_000)
  expect(patches() - before).toBeLessThan(40)
  expect(said).toContain('sync of namespace label failed')
  api.fault = () => undefined
  await inSync(reader, 300_000)
  expect(labelsOf('refused')).toEqual(ENABLED)
})
