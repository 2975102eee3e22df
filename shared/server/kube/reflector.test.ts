import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import { FakeApiserver } from '../../../test/fakes/apiserver.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import { seededRandom, VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { keepOwnAnnotations } from '../../../webhook/cluster/own-annotations.ts'
import type { Annotated } from '../../../webhook/cluster/types.ts'
import type { LogFields, Logger } from '../../base/log.ts'
import { createKubeClient } from './kube.ts'
import { Reflector } from './reflector.ts'

const ROLE_ARN = 'nocreds.dev/role-arn'

let api: FakeApiserver
let clock: VirtualClock
let reflector: Reflector<Annotated>
let lines: LogFields[]

beforeEach(async () => {
  api = await new FakeApiserver().start()
  clock = new VirtualClock()
  lines = []
  const keep = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook' },
  )
  reflector = new Reflector({
    kube: createKubeClient(config),
    path: '/api/v1/serviceaccounts',
    kind: 'ServiceAccount',
    keep: ({ metadata }) => keepOwnAnnotations(metadata.annotations),
    clock,
    random: seededRandom(1),
    log,
  })
})

afterEach(async () => {
  reflector.stop()
  await api.stop()
})

function pathOf(name: string): string {
  return `/api/v1/namespaces/team-a/serviceaccounts/${name}`
}

function write(name: string, role?: string): void {
  const annotations = {
    'example.com/other': 'x',
    ...(role === undefined ? {} : { [ROLE_ARN]: role }),
  }
  api.store.write(pathOf(name), { metadata: { name, namespace: 'team-a', annotations } })
}

function roleOf(name: string): string | undefined {
  return reflector.get(`team-a/${name}`)?.annotations[ROLE_ARN]
}

async function started(): Promise<void> {
  reflector.start()
  await eventually(() => api.watches.count === 1)
}

/** Advances the clock until the condition holds, so that a test never depends on a delay. */
async function inTime(condition: () => boolean): Promise<void> {
  await eventually(async () => {
    if (condition()) return true
    await clock.advance(1000)
    return condition()
  })
}

const lists = (): number =>
  api.requests.filter(({ query }) => query.has('limit') && !query.has('continue')).length

describe('the list', () => {
  test('is read in pages and keeps only annotations of nocreds', async () => {
    for (let n = 0; n < 1201; n += 1) write(`sa-${n}`, n % 100 === 0 ? `role-${n}` : undefined)
    expect(reflector.ready).toBe(false)
    await started()
    expect(reflector.ready).toBe(true)
    expect(reflector.size).toBe(1201)
    expect(reflector.get('team-a/sa-100')).toEqual({ annotations: { [ROLE_ARN]: 'role-100' } })
    expect(reflector.get('team-a/sa-1')).toEqual({ annotations: {} })
    expect(reflector.get('team-a/sa-1')).toBe(reflector.get('team-a/sa-2')) // one object for all
    expect(api.requests.filter(({ query }) => query.has('limit'))).toHaveLength(3)
    expect(api.requests[0]?.accept).toContain('as=PartialObjectMetadataList')
  })

  test('whose continue token expires starts again', async () => {
    for (let n = 0; n < 600; n += 1) write(`sa-${n}`)
    let isFirst = true
    api.beforeAnswer = ({ query }) => {
      if (!query.has('continue') || !isFirst) return
      isFirst = false
      write('late', 'role-late')
      api.store.compact()
    }
    reflector.start()
    await inTime(() => reflector.ready)
    expect(reflector.size).toBe(601)
    expect(roleOf('late')).toBe('role-late')
  })

  test('is retried with growing delays until the apiserver responds', async () => {
    write('app', 'role')
    api.fault = () => 503
    reflector.start()
    await eventually(() => clock.pending === 1)
    for (let n = 0; n < 20; n += 1) {
      await clock.advance(30_000)
      await eventually(() => clock.pending === 1)
    }
    expect(reflector.ready).toBe(false)
    // At least 15 s apart once the ceiling is reached: 20 × 30 s cannot hold more than 46.
    expect(api.requests.length).toBeGreaterThan(20)
    expect(api.requests.length).toBeLessThanOrEqual(46)
    api.fault = () => undefined
    await inTime(() => reflector.ready)
    expect(roleOf('app')).toBe('role')
    expect(lines.every(({ kind }) => kind === 'ServiceAccount')).toBe(true)
  })
})

describe('the watch', () => {
  test('delivers created, changed and deleted objects', async () => {
    write('app', 'role-1')
    await started()
    write('new', 'role-new')
    write('app', 'role-2')
    await eventually(() => roleOf('app') === 'role-2' && roleOf('new') === 'role-new')
    write('app')
    await eventually(() => reflector.get('team-a/app') !== undefined && roleOf('app') === undefined)
    api.store.remove(pathOf('app'))
    await eventually(() => reflector.get('team-a/app') === undefined)
    expect(reflector.size).toBe(1)
  })

  test.each(['orderly', 'cut'] as const)(
    'goes on where it ended (%s), with all that was missed, deletions too, and no new list',
    async (how) => {
      write('gone', 'role')
      write('app', 'role-1')
      await started()
      api.watches.end(how)
      api.store.remove(pathOf('gone'))
      write('app', 'role-2')
      await inTime(() => roleOf('app') === 'role-2')
      expect(reflector.get('team-a/gone')).toBeUndefined()
      expect(lists()).toBe(1)
    },
  )

  test('continues from the last bookmark, even if the version of the list is too old by then', async () => {
    write('app', 'role-1')
    await started()
    api.store.write('/api/v1/namespaces/other', { metadata: { name: 'other' } })
    api.watches.bookmark()
    write('seen', 'role')
    await eventually(() => roleOf('seen') === 'role')
    api.store.compact()
    api.watches.end('orderly')
    await inTime(() => api.watches.count === 1)
    write('app', 'role-2')
    await eventually(() => roleOf('app') === 'role-2')
    expect(lists()).toBe(1)
  })

  test('that breaks again and again, but delivers something each time, does not slow down', async () => {
    await started()
    for (let n = 0; n < 6; n += 1) {
      write('app', `role-${n}`)
      await eventually(() => roleOf('app') === `role-${n}`)
      api.watches.end('cut')
      await eventually(() => clock.pending === 1)
      await clock.advance(1000)
      await eventually(() => api.watches.count === 1)
    }
    expect(lines.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1, 1])
  })

  test('a server that ends every watch immediately is not called in a tight loop', async () => {
    await started()
    const before = api.requests.length
    for (let n = 0; n < 10; n += 1) {
      api.watches.end('orderly')
      await eventually(() => clock.pending === 1)
      await clock.advance(1000)
      await eventually(() => api.watches.count === 1)
    }
    expect(api.requests.length - before).toBe(10)
  })
})

describe.each(['event', 'status'] as const)('410 Gone as %s', (goneAs) => {
  test('causes a new list; the old copy is used until it is complete', async () => {
    api.watches.goneAs = goneAs
    for (let n = 0; n < 600; n += 1) write(`sa-${n}`, 'role-1')
    await started()
    const seenDuringList: [boolean, number][] = []
    api.beforeAnswer = ({ query }) => {
      if (query.has('continue')) seenDuringList.push([reflector.ready, reflector.size])
    }
    api.watches.end('cut')
    api.store.remove(pathOf('sa-7'))
    write('sa-8', 'role-2')
    write('new', 'role-new')
    api.store.compact()
    await inTime(() => roleOf('new') === 'role-new')
    expect(seenDuringList).toEqual([[true, 600]])
    expect(roleOf('sa-8')).toBe('role-2')
    expect(reflector.get('team-a/sa-7')).toBeUndefined()
    expect(reflector.size).toBe(600)
    expect(lists()).toBe(2)
  })
})

describe('an apiserver that becomes unreachable', () => {
  test('keeps the copy; after it is back every missed change is applied', async () => {
    write('app', 'role-1')
    write('gone', 'role')
    await started()
    await api.stop()
    for (let n = 0; n < 5; n += 1) {
      await eventually(() => clock.pending === 1)
      await clock.advance(30_000)
    }
    expect(reflector.ready).toBe(true)
    expect(roleOf('app')).toBe('role-1')
    api.store.remove(pathOf('gone'))
    write('app', 'role-2')
    await api.start()
    await inTime(() => roleOf('app') === 'role-2')
    expect(reflector.get('team-a/gone')).toBeUndefined()
  })
})

test('stop ends the watch and sends no more requests', async () => {
  await started()
  const before = api.requests.length
  reflector.stop()
  await eventually(() => api.watches.count === 0)
  await clock.advance(600_000)
  expect(api.requests).toHaveLength(before)
})

test('many objects take little memory: nothing of a foreign object is kept', async () => {
  const noise = 'x'.repeat(1000)
  for (let n = 0; n < 5000; n += 1) {
    const annotations = { noise, ...(n % 10 === 0 ? { [ROLE_ARN]: `role-${n}` } : {}) }
    api.store.write(pathOf(`sa-${n}`), {
      metadata: { name: `sa-${n}`, namespace: 'team-a', annotations, labels: { noise } },
    })
  }
  await started()
  const kept = Array.from({ length: 5000 }, (_, n) => reflector.get(`team-a/sa-${n}`))
  expect(JSON.stringify(kept)).not.toContain('xxx')
  expect(new Set(kept).size).toBe(501) // those with a role, and one for all others
})
