import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import type { Logger } from '../../shared/base/log.ts'
import { createKubeClient } from '../../shared/server/kube/kube.ts'
import { FakeApiserver } from '../../test/fakes/apiserver.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createCachedReader, type CachedReader } from './cached-reader.ts'

const ROLE = { 'nocreds.dev/role-arn': 'arn:aws:iam::111122223333:role/app' }
const PERMITTED = { 'nocreds.dev/permitted-roles': '.*' }
const NAMESPACE = '/api/v1/namespaces/team-a'
const ACCOUNT = `${NAMESPACE}/serviceaccounts/app`

let api: FakeApiserver
let clock: VirtualClock
let reader: CachedReader
let fromMemory: number

const nothing = (): void => undefined
const SILENT: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

beforeEach(async () => {
  api = await new FakeApiserver().start()
  clock = new VirtualClock()
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook' },
  )
  const kube = createKubeClient(config)
  fromMemory = 0
  reader = createCachedReader({
    kube,
    clock,
    random: seededRandom(1),
    log: SILENT,
    noteLabel: nothing,
    noteFromMemory: () => {
      fromMemory += 1
    },
  })
})

afterEach(async () => {
  reader.stop()
  await api.stop()
})

function annotate(path: string, annotations: Record<string, string>): void {
  const name = path.slice(path.lastIndexOf('/') + 1)
  api.store.write(path, { metadata: { name, namespace: 'team-a', annotations } })
}

function annotateNamespace(annotations: Record<string, string>): void {
  api.store.write(NAMESPACE, { metadata: { name: 'team-a', annotations } })
}

/** How often the object itself was asked for. */
function liveGets(path: string): number {
  return api.requests.filter((request) => request.path === path).length
}

async function started(): Promise<void> {
  reader.start()
  await eventually(() => api.watches.count === 2)
}

describe('from memory', () => {
  test('a ServiceAccount with a role and a Namespace that permits roles', async () => {
    annotate(ACCOUNT, ROLE)
    annotateNamespace(PERMITTED)
    expect(reader.ready).toBe(false)
    await started()
    expect(reader.ready).toBe(true)
    expect(reader.counts()).toEqual({ ServiceAccount: 1, Namespace: 1 })
    expect(await reader.serviceAccount('team-a', 'app')).toEqual({ annotations: ROLE })
    expect(await reader.namespace('team-a')).toEqual({ annotations: PERMITTED })
    expect(liveGets(NAMESPACE)).toBe(0)
  })

  test('a ServiceAccount with a certificate and a Namespace that permits names', async () => {
    const certificate = { 'nocreds.dev/certificate': 'true' }
    const names = { 'nocreds.dev/permitted-dns-names': '' }
    annotate(ACCOUNT, certificate)
    annotateNamespace(names)
    await started()
    expect(await reader.serviceAccount('team-a', 'app')).toEqual({ annotations: certificate })
    expect(await reader.namespace('team-a')).toEqual({ annotations: names })
    expect(liveGets(NAMESPACE)).toBe(0)
  })

  test('keeps working while the apiserver is down; what is not cached is an error', async () => {
    annotate(ACCOUNT, ROLE)
    annotateNamespace(PERMITTED)
    await started()
    await api.stop()
    expect(await reader.serviceAccount('team-a', 'app')).toEqual({ annotations: ROLE })
    expect(await reader.namespace('team-a')).toEqual({ annotations: PERMITTED })
    expect(reader.ready).toBe(true)
    const unreachable = { code: 'ERR_APISERVER_UNREACHABLE' }
    await expect(reader.serviceAccount('team-a', 'new')).rejects.toMatchObject(unreachable)
    await expect(reader.namespace('new')).rejects.toMatchObject(unreachable)
    await expect(reader.namespace('team-a', { fresh: true })).rejects.toMatchObject(unreachable)
  })

  test('is not ready before both kinds are cached', async () => {
    api.fault = ({ path }) => (path === '/api/v1/namespaces' ? 503 : undefined)
    reader.start()
    await eventually(() => api.watches.count === 1)
    expect(reader.ready).toBe(false)
    api.fault = () => undefined
    await eventually(() => clock.pending === 1)
    await clock.advance(30_000)
    await eventually(() => reader.ready)
  })
})

describe('a ServiceAccount that is in memory', () => {
  const changed = (n: number): Record<string, string> => ({
    'nocreds.dev/role-arn': `arn:aws:iam::111122223333:role/app-${n}`,
  })

  test('is never the former one, however late the watch is: 200 changes, each read at once', async () => {
    annotate(ACCOUNT, ROLE)
    await started()
    api.watches.hold()
    for (let n = 0; n < 200; n += 1) {
      annotate(ACCOUNT, changed(n))
      const [one, other] = await Promise.all([
        reader.serviceAccount('team-a', 'app'),
        reader.askedBy?.('10.0.0.1').serviceAccount('team-a', 'app'),
      ])
      expect([one, other]).toEqual([{ annotations: changed(n) }, { annotations: changed(n) }])
    }
    expect(fromMemory).toBe(0)
  })

  test('is absent if the apiserver says so', async () => {
    annotate(ACCOUNT, ROLE)
    await started()
    api.watches.hold()
    api.store.remove(ACCOUNT)
    expect(await reader.serviceAccount('team-a', 'app')).toBeUndefined()
  })

  test.each([403, 503, 'reset', 'hang'] as const)(
    'is believed where the apiserver does not say anything: %s',
    async (fault) => {
      annotate(ACCOUNT, ROLE)
      await started()
      api.fault = () => fault
      const asked = reader.serviceAccount('team-a', 'app')
      if (fault === 'hang') await clock.advance(1000)
      expect(await asked).toEqual({ annotations: ROLE })
      expect(fromMemory).toBe(1)
    },
  )

  test('is used if too many live reads are waiting', async () => {
    annotate(ACCOUNT, ROLE)
    await started()
    api.fault = ({ path }) => (path.includes('made-up') ? 'hang' : undefined)
    const caller = reader.askedBy?.('10.0.0.1')
    const others = Array.from({ length: 264 }, async (_, n) =>
      caller?.serviceAccount(`made-up-${n}`, 'x'),
    )
    const allEnd = Promise.allSettled(others)
    expect(await caller?.serviceAccount('team-a', 'app')).toEqual({ annotations: ROLE })
    expect(fromMemory).toBe(1)
    await api.stop()
    await allEnd
  })
})

describe('read live', () => {
  test('a ServiceAccount made, or annotated, a moment ago, while the watch lags', async () => {
    annotate(ACCOUNT, {})
    await started()
    api.watches.hold()
    annotate(ACCOUNT, ROLE)
    annotate(`${NAMESPACE}/serviceaccounts/new`, ROLE)
    expect(await reader.serviceAccount('team-a', 'app')).toEqual({ annotations: ROLE })
    expect(await reader.serviceAccount('team-a', 'new')).toEqual({ annotations: ROLE })
    expect(reader.counts().ServiceAccount).toBe(1) // the watch has brought nothing yet
  })

  test('a Namespace that permits nothing yet, and any if fresh is requested', async () => {
    annotateNamespace({})
    await started()
    api.watches.hold()
    annotateNamespace(PERMITTED)
    expect(await reader.namespace('team-a')).toEqual({ annotations: PERMITTED })
    api.watches.release()
    await eventually(async () => {
      const before = liveGets(NAMESPACE)
      await reader.namespace('team-a')
      return liveGets(NAMESPACE) === before
    })
    api.watches.hold()
    annotateNamespace({ 'nocreds.dev/permitted-roles': 'other' })
    expect(await reader.namespace('team-a', { fresh: true })).toEqual({
      annotations: { 'nocreds.dev/permitted-roles': 'other' },
    })
  })

  test('what does not exist is undefined', async () => {
    await started()
    expect(await reader.serviceAccount('team-a', 'app')).toBeUndefined()
    expect(await reader.namespace('team-a')).toBeUndefined()
  })

  test.each([401, 403, 429, 500, 503, 'reset', 'cut-body'] as const)(
    'a refusal (%s) is an error, never "absent"',
    async (fault) => {
      await started()
      api.fault = () => fault
      await expect(reader.serviceAccount('team-a', 'app')).rejects.toMatchObject({
        code: 'ERR_APISERVER_UNREACHABLE',
      })
    },
  )

  test('a name cannot climb out of its path', async () => {
    await started()
    await expect(reader.serviceAccount('team-a', '../secrets/tls')).resolves.toBeUndefined()
    expect(api.requests.at(-1)?.path).toBe(`${NAMESPACE}/serviceaccounts/../secrets/tls`)
  })
})

describe('calls at the same time', () => {
  test('share one response, which is not older than any of the calls', async () => {
    annotate(ACCOUNT, {})
    await started()
    api.watches.hold()
    const answering = Promise.withResolvers<undefined>()
    const read = Promise.withResolvers<undefined>()
    let isFirst = true
    api.afterRead = async ({ path }) => {
      if (path !== ACCOUNT || !isFirst) return
      isFirst = false
      read.resolve(undefined)
      await answering.promise
    }
    const early = reader.serviceAccount('team-a', 'app')
    await read.promise // the apiserver has looked, the answer is still on its way
    annotate(ACCOUNT, ROLE)
    const late = Array.from({ length: 50 }, async () => reader.serviceAccount('team-a', 'app'))
    answering.resolve(undefined)
    expect(await early).toEqual({ annotations: {} })
    expect(await Promise.all(late)).toEqual(late.map(() => ({ annotations: ROLE })))
    expect(liveGets(ACCOUNT)).toBe(2)
  })

  test('a failure is shared by the calls that waited for it, and by no later one', async () => {
    annotate(ACCOUNT, {})
    await started()
    api.fault = () => 503
    const failed = await Promise.allSettled([
      reader.serviceAccount('team-a', 'app'),
      reader.serviceAccount('team-a', 'app'),
    ])
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    api.fault = () => undefined
    expect(await reader.serviceAccount('team-a', 'app')).toEqual({ annotations: {} })
  })
})

describe('a client whose reviews need live reads', () => {
  const STRANGER = '10.0.0.66'
  /** They are there, so that the apiserver's answer can be held back; they say nothing, so it is asked. */
  beforeEach(() => {
    for (let n = 0; n < 1000; n += 1) {
      api.store.write(`/api/v1/namespaces/made-up-${n}/serviceaccounts/app`, {
        metadata: { name: 'app', namespace: `made-up-${n}` },
      })
    }
  })
  /** Answers are held back; gives how many the apiserver works on, and lets them go. */
  function hold(): { readonly atOnce: () => number; readonly release: () => void } {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    let atOnce = 0
    api.afterRead = async ({ query }) => {
      if (query.has('limit') || query.has('watch')) return
      atOnce += 1
      await promise
      atOnce -= 1
    }
    return {
      atOnce: () => atOnce,
      release: () => {
        resolve(undefined)
      },
    }
  }
  const madeUp = (count: number, caller: string): Promise<string>[] =>
    Array.from({ length: count }, async (_, n) => {
      try {
        await reader.askedBy?.(caller).serviceAccount(`made-up-${n}`, 'app')
        return 'answered'
      } catch (error) {
        return (error as { code: string }).code
      }
    })

  test('has few of them in flight at once, and the rest refused', async () => {
    await started()
    const { atOnce, release } = hold()
    const answers = madeUp(1000, STRANGER)
    await eventually(() => atOnce() === 8)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(atOnce()).toBe(8)
    release()
    const outcomes = await Promise.all(answers)
    expect(outcomes.filter((one) => one === 'answered')).toHaveLength(8 + 256)
    expect(outcomes.filter((one) => one === 'ERR_BUSY')).toHaveLength(1000 - 264)
  })

  test('all callers together have few, and one with few requests comes first', async () => {
    annotate(ACCOUNT, {})
    await started()
    const { atOnce, release } = hold()
    const floods = [STRANGER, '10.0.0.67', '10.0.0.68'].flatMap((caller) => madeUp(100, caller))
    await eventually(() => atOnce() === 16)
    const order: string[] = []
    const honest = Promise.resolve(reader.askedBy?.('10.0.0.1').serviceAccount('team-a', 'app'))
    void honest.then(() => order.push('honest'))
    for (const answer of floods) void answer.then(() => order.push('made up'))
    release()
    expect(await honest).toEqual({ annotations: {} })
    // Of 300, the 16 that were under way, and those of the same turn.
    expect(order.indexOf('honest')).toBeLessThan(50)
    await Promise.all(floods)
  })
})
