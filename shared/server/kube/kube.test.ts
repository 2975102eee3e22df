import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import { FakeApiserver } from '../../../test/fakes/apiserver.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import type { KubeClient, WatchEvent } from './kube-client.ts'
import { createKubeClient } from './kube.ts'

const ACCOUNT = '/api/v1/namespaces/team-a/serviceaccounts/app'
const SECRET = '/api/v1/namespaces/team-a/secrets/tls'

let api: FakeApiserver
let kube: KubeClient

beforeEach(async () => {
  api = await new FakeApiserver().start()
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook', token: 'the-token-of-the-webhook' },
  )
  kube = createKubeClient(config)
  api.store.write(ACCOUNT, {
    kind: 'ServiceAccount',
    metadata: { name: 'app', namespace: 'team-a', annotations: { a: 'b' } },
    secrets: [{ name: 'not asked for' }],
  })
  api.store.write(SECRET, { metadata: { name: 'tls', namespace: 'team-a' }, data: {} })
})

afterEach(() => api.stop())

describe('reads', () => {
  test('get returns the object, getMetadata only its metadata; both authenticate', async () => {
    expect(await kube.get(ACCOUNT)).toMatchObject({ secrets: [{ name: 'not asked for' }] })
    const metadata = await kube.getMetadata(ACCOUNT)
    expect(metadata).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'app' } })
    expect(metadata).not.toHaveProperty('secrets')
    expect(api.requests.map((request) => request.authorization)).toEqual([
      'Bearer the-token-of-the-webhook',
      'Bearer the-token-of-the-webhook',
    ])
  })

  test('an absent object is undefined', async () => {
    expect(await kube.get(`${ACCOUNT}-other`)).toBeUndefined()
    expect(await kube.getMetadata(`${ACCOUNT}-other`)).toBeUndefined()
  })

  test('a list comes in pages', async () => {
    for (const name of ['b', 'c']) {
      api.store.write(`/api/v1/namespaces/team-a/serviceaccounts/${name}`, {
        metadata: { name, namespace: 'team-a' },
      })
    }
    const first = await kube.listMetadata('/api/v1/serviceaccounts', { limit: '2' })
    expect(first.items?.map(({ metadata }) => metadata.name)).toEqual(['app', 'b'])
    const rest = await kube.listMetadata('/api/v1/serviceaccounts', {
      limit: '2',
      continue: first.metadata.continue ?? '',
    })
    expect(rest.items?.map(({ metadata }) => metadata.name)).toEqual(['c'])
    expect(rest.metadata.continue).toBeUndefined()
  })
})

describe('failures are KubeErrors with the status', () => {
  test.each([401, 403, 410, 429, 500, 503])('an answer of %i', async (status) => {
    api.fault = () => status
    await expect(kube.get(ACCOUNT)).rejects.toMatchObject({ code: 'ERR_KUBE', status })
    await expect(kube.get(ACCOUNT)).rejects.toThrow(`answered with ${status} on request`)
  })

  test.each(['reset', 'cut-body'] as const)('a connection that ends: %s', async (fault) => {
    api.fault = () => fault
    await expect(kube.get(ACCOUNT)).rejects.toMatchObject({ code: 'ERR_KUBE', status: 0 })
  })

  test('an apiserver that never responds', async () => {
    api.fault = () => 'hang'
    await expect(kube.getMetadata(ACCOUNT)).rejects.toMatchObject({ code: 'ERR_KUBE', status: 0 })
  })

  test('an apiserver that cannot be reached', async () => {
    await api.stop()
    await expect(kube.get(ACCOUNT)).rejects.toMatchObject({ code: 'ERR_KUBE', status: 0 })
  })
})

describe('writes', () => {
  test('replace fails with 409 if another client was faster', async () => {
    const read = await kube.get(SECRET)
    if (read === undefined) throw new Error('the Secret is there')
    const written = await kube.replace(SECRET, { ...read, data: { mine: 'eA==' } })
    expect(written.metadata.resourceVersion).not.toBe(read.metadata.resourceVersion)
    await expect(kube.replace(SECRET, { ...read, data: {} })).rejects.toMatchObject({ status: 409 })
    expect(api.store.get(SECRET)).toMatchObject({ data: { mine: 'eA==' } })
  })

  test('patch applies RFC 6902; a test that fails is 422 and changes nothing', async () => {
    await kube.patch(SECRET, [{ op: 'add', path: '/data/mine', value: 'eA==' }])
    expect(api.store.get(SECRET)).toMatchObject({ data: { mine: 'eA==' } })
    const late = kube.patch(SECRET, [
      { op: 'test', path: '/metadata/resourceVersion', value: '1' },
      { op: 'remove', path: '/data/mine' },
    ])
    await expect(late).rejects.toMatchObject({ status: 422 })
    expect(api.store.get(SECRET)).toMatchObject({ data: { mine: 'eA==' } })
  })
})

describe('watch', () => {
  const stop = new AbortController()
  let events: WatchEvent[]
  let ended: Promise<string>

  beforeEach(async () => {
    events = []
    ended = kube
      .watchMetadata(
        '/api/v1/serviceaccounts',
        { resourceVersion: String(api.store.revision) },
        (event) => events.push(event),
        stop.signal,
      )
      .then(
        () => 'ended',
        (error: unknown) => (error as { code: string }).code,
      )
    await eventually(() => api.watches.count === 1)
  })

  test('delivers events and bookmarks until the apiserver ends it', async () => {
    api.store.remove(ACCOUNT)
    api.watches.bookmark()
    await eventually(() => events.length === 2)
    expect(events.map(({ type }) => type)).toEqual(['DELETED', 'BOOKMARK'])
    api.watches.end('orderly')
    expect(await ended).toBe('ended')
  })

  test('a connection that breaks is a KubeError, not a crash', async () => {
    api.watches.end('cut')
    expect(await ended).toBe('ERR_KUBE')
  })

  test('the signal ends it', async () => {
    stop.abort()
    expect(await ended).toBe('ended')
  })
})
