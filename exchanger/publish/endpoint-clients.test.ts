import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { askLikeBotocore, type EndpointAddress } from '../../test/fakes/botocore-client.ts'
import { until } from '../../test/fakes/exchanger-pod.ts'
import { documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { startEndpoint, type Endpoint } from './endpoint.ts'

const MAX = 1024

let endpoint: Endpoint
let address: EndpointAddress
let sockets: Socket[]
let rushes: number
beforeEach(async () => {
  sockets = []
  rushes = 0
  const authorization = 'a'.repeat(43)
  endpoint = await startEndpoint({
    port: 0,
    served: [{ path: '/v1/credentials', authorization, current: () => documentEnding(1000) }],
    now: () => 0,
    onBurstEnd: () => (rushes += 1),
  })
  address = { port: endpoint.port, path: '/v1/credentials', authorization }
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  endpoint.close()
})

const clients = (count: number): Promise<{ answer: string | undefined }[]> =>
  Promise.all(Array.from({ length: count }, () => askLikeBotocore(address, sockets)))

test('500 processes that ask at once and keep their connections all get credentials', async () => {
  for (const { answer } of await clients(500)) {
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
  }
})

/** Connections that send nothing. */
async function silent(count: number): Promise<void> {
  const opened = Array.from({ length: count }, () => {
    const socket = connect(address.port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    return once(socket, 'connect')
  })
  await Promise.allSettled(opened)
}

test('a burst is over once most connections are closed', async () => {
  await silent(40)
  await clients(1) // those before it are accepted by then
  expect(rushes).toBe(0)
  for (const socket of sockets) socket.destroy()
  await until(() => (rushes > 0 ? true : undefined))
  expect(rushes).toBe(1)
})

test('over its limit: the oldest are closed, and clients with a request are served', async () => {
  let closed = 0
  await silent(MAX)
  for (const socket of sockets) socket.once('close', () => (closed += 1))
  const most = sockets[0]!
  await silent(100)
  if (!most.closed) await once(most, 'close')
  expect((await clients(50)).every(({ answer }) => answer?.includes('200 OK'))).toBe(true)
  expect(closed).toBeGreaterThanOrEqual(100)
})

test('half a request does not keep a connection open', async () => {
  await silent(1)
  const [slow] = sockets
  slow!.write('GET /v1/credentials HTTP/1.1\r\n')
  await once(slow!, 'close')
}, 60_000)
