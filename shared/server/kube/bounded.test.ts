import { createServer, type Server, type ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import { FakeApiserver } from '../../../test/fakes/apiserver.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import { seededRandom, VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { keepOwnAnnotations } from '../../../webhook/cluster/own-annotations.ts'
import type { LogFields, Logger } from '../../base/log.ts'
import { listen } from '../../base/server.ts'
import type { KubeClient, WatchEvent } from './kube-client.ts'
import { createKubeClient } from './kube.ts'
import { Reflector } from './reflector.ts'

const MIB = 1024 * 1024

function kubeAt(url: string): KubeClient {
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: url, skipTLSVerify: true },
    { name: 'webhook' },
  )
  return createKubeClient(config)
}

describe('an apiserver that sends without end', () => {
  let server: Server
  let kube: KubeClient
  let respond: (response: ServerResponse) => void

  beforeEach(async () => {
    server = createServer((_request, response) => {
      respond(response)
    })
    kube = kubeAt(`http://127.0.0.1:${await listen(server, 0, '127.0.0.1')}`)
  })

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  /** Writes until the client stops reading; returns the number of bytes it read. */
  function endless(response: ServerResponse, head: string): Promise<number> {
    const chunk = Buffer.alloc(65_536, 'x')
    return new Promise((resolve) => {
      let sent = 0
      const more = (): void => {
        while (response.write(chunk)) sent += chunk.length
        sent += chunk.length
      }
      response.on('drain', more)
      response.on('close', () => {
        resolve(sent)
      })
      response.write(head)
      more()
    })
  }

  test('an object over the limit is not read', async () => {
    let taken: Promise<number> | undefined
    respond = (response) => {
      taken = endless(response, '{"metadata":{"name":"')
    }
    await expect(kube.get('/api/v1/namespaces/a')).rejects.toMatchObject({
      code: 'ERR_KUBE_ANSWER_TOO_LARGE',
    })
    expect(await taken).toBeLessThan(16 * MIB) // the bound, and what the two kernels hold
  })

  test('a page says where the list continues', async () => {
    respond = (response) => {
      const metadata = '{"resourceVersion":"7","continue":"next","remainingItemCount":3}'
      void endless(response, `{"kind":"List","apiVersion":"v1","metadata":${metadata},"items":["`)
    }
    await expect(kube.list('/api/v1/configmaps', {}, MIB)).rejects.toMatchObject({
      list: { resourceVersion: '7', continue: 'next' },
    })
  })

  test.each([
    ['a tenant put it into an object', '{"items":[{"metadata":{"continue":"forged"},"items":["'],
    ['there is none', '{"items":["'],
  ])('but not if %s', async (_what, head) => {
    respond = (response) => void endless(response, head)
    const error: unknown = await kube.list('/api/v1/configmaps', {}, MIB).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'ERR_KUBE_ANSWER_TOO_LARGE', list: undefined })
  })

  test('an endless refusal is a refusal', async () => {
    respond = (response) => {
      response.writeHead(500)
      void endless(response, '{"message":"')
    }
    await expect(kube.get('/api/v1/namespaces/a')).rejects.toMatchObject({ status: 500 })
  })

  const watch = (): { events: WatchEvent[]; end: Promise<string> } => {
    const events: WatchEvent[] = []
    const end = kube
      .watch('/api/v1/configmaps', {}, (event) => events.push(event), new AbortController().signal)
      .then(
        () => 'ended',
        (error: unknown) => (error as { code: string }).code,
      )
    return { events, end }
  }

  test('a watch line that is too large identifies its object, and the next one is read', async () => {
    respond = (response) => {
      const object = {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: 'big', namespace: 'a', uid: 'u', resourceVersion: '8', labels: {} },
        data: { 'ca.crt': 'x'.repeat(5 * MIB) },
      }
      response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n\n`)
      response.end(`${JSON.stringify({ type: 'DELETED', object: { metadata: { name: 'b' } } })}\n`)
    }
    const { events, end } = watch()
    expect(await end).toBe('ended')
    expect(events).toEqual([
      {
        type: 'TOO_LARGE',
        object: { metadata: { name: 'big', namespace: 'a', resourceVersion: '8' } },
      },
      { type: 'DELETED', object: { metadata: { name: 'b' } } },
    ])
  })

  test('one that does not identify its object ends the watch', async () => {
    respond = (response) => {
      response.end(`{"type":"ADDED","object":{"data":"${'x'.repeat(5 * MIB)}"}}\n`)
    }
    const { events, end } = watch()
    expect(await end).toBe('ERR_KUBE_ANSWER_TOO_LARGE')
    expect(events).toEqual([])
  })

  test('lines are complete, however they are split', async () => {
    const lines = Array.from({ length: 50 }, (_, n) =>
      JSON.stringify({ type: 'ADDED', object: { metadata: { name: `ä${n}` } } }),
    )
    respond = (response) => {
      const bytes = Buffer.from(`${lines.join('\n')}\n`)
      const sendFrom = (at: number): void => {
        if (at >= bytes.length) response.end()
        else {
          response.write(bytes.subarray(at, at + 7))
          setImmediate(sendFrom, at + 7)
        }
      }
      sendFrom(0)
    }
    const { events, end } = watch()
    expect(await end).toBe('ended')
    expect(events.map((event) => JSON.stringify(event))).toEqual(lines)
  })
})

describe('a copy of what tenants wrote', () => {
  let api: FakeApiserver
  let lines: LogFields[]
  let reflector: Reflector<unknown>

  afterEach(async () => {
    reflector.stop()
    await api.stop()
  })

  async function follow(
    options: Partial<ConstructorParameters<typeof Reflector<unknown>>[0]> = {},
  ): Promise<void> {
    lines = []
    const note = (fields: LogFields): void => {
      lines.push(fields)
    }
    const log: Logger = { debug: note, info: note, warn: note, error: note }
    reflector = new Reflector<unknown>({
      kube: kubeAt(api.url),
      path: '/api/v1/serviceaccounts',
      kind: 'ServiceAccount',
      keep: ({ metadata }) => metadata.annotations ?? {},
      clock: new VirtualClock(),
      random: seededRandom(1),
      log,
      ...options,
    })
    reflector.start()
    await eventually(() => reflector.ready && api.watches.count === 1)
  }

  function write(name: string, annotations: Record<string, string>): void {
    api.store.write(`/api/v1/namespaces/team-a/serviceaccounts/${name}`, {
      metadata: { name, namespace: 'team-a', resourceVersion: '1', annotations },
    })
  }

  test('uses smaller pages for large objects, and larger ones afterwards', async () => {
    api = await new FakeApiserver().start()
    const large = 'x'.repeat(200_000)
    for (let n = 0; n < 40; n += 1) write(`a-${n}`, { large })
    for (let n = 0; n < 600; n += 1) write(`b-${n}`, {})
    await follow()
    expect(reflector.size).toBe(640)
    const limits = api.requests.flatMap(({ query }) => query.get('limit') ?? [])
    expect(limits.slice(0, 4)).toEqual(['500', '125', '31', '7'])
    expect(Math.max(...limits.slice(4).map(Number))).toBeGreaterThan(100)
    expect(lines).toEqual([])
  })

  test('omits an object over the limit, in list and watch, and continues', async () => {
    api = await new FakeApiserver().start()
    const tooLarge = { large: 'x'.repeat(5 * MIB) }
    for (const name of ['a', 'c', 'd']) write(name, {})
    write('b', tooLarge)
    await follow()
    expect(reflector.keys().sort()).toEqual(['team-a/a', 'team-a/c', 'team-a/d'])
    write('c', tooLarge)
    write('d', { seen: 'yes' })
    await eventually(() => JSON.stringify(reflector.get('team-a/d')) === '{"seen":"yes"}')
    expect(reflector.get('team-a/c')).toBeUndefined()
    write('c', { small: 'again' })
    await eventually(() => reflector.get('team-a/c') !== undefined)
    expect(lines).toHaveLength(2)
  })

  test('has limited memory, whatever is written again and again', async () => {
    api = await new FakeApiserver().start()
    const placeholder = {}
    const sizeOf = (kept: unknown): number => JSON.stringify(kept).length - 2
    const value = 'x'.repeat(990)
    for (let n = 0; n < 30; n += 1) write(`sa-${n}`, { value })
    await follow({ memory: { sizeOf, max: 10_500, placeholder } })
    const kept = (): number =>
      reflector.keys().reduce((sum, key) => sum + sizeOf(reflector.get(key)), 0)
    expect(kept()).toBe(10_000)
    for (let n = 0; n < 100; n += 1) write(`sa-${n % 30}`, { value, n: String(n) })
    write('last', {})
    await eventually(() => reflector.get('team-a/last') !== undefined)
    expect(kept()).toBeLessThanOrEqual(10_500)
    expect(kept()).toBeGreaterThan(9000)
    for (let n = 0; n < 30; n += 1)
      api.store.remove(`/api/v1/namespaces/team-a/serviceaccounts/sa-${n}`)
    write('after', { value })
    await eventually(() => reflector.get('team-a/after') !== undefined)
    expect(kept()).toBe(1000)
  })

  test('does not keep a long annotation in memory', async () => {
    api = await new FakeApiserver().start()
    const value = 'x'.repeat(250_000)
    for (let n = 0; n < 100; n += 1) write(`sa-${n}`, { 'nocreds.dev/role-arn': value })
    await follow({ keep: ({ metadata }) => keepOwnAnnotations(metadata.annotations) })
    expect(JSON.stringify(reflector.keys().map((key) => reflector.get(key))).length).toBeLessThan(
      100_000,
    )
  })
})
