import { createServer, IncomingMessage, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { begin, call, GET, post, postHead, type Caller } from '../../../test/fakes/callers.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import { throwawayCertificate } from '../../../test/fakes/throwaway-certificate.ts'
import { VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { listen } from '../../base/server.ts'
import type { ConnectionLimits } from './connection-guard.ts'
import { connectionsOf, dropUnfinished, guardServer } from './guard.ts'

const STRANGER = '127.0.0.2'
const LIMITS: ConnectionLimits = {
  unfinished: { max: 8, maxPerAddress: 6 },
  proven: { max: 4, maxPerAddress: 3 },
  deadlines: { handshakeMs: 5000, firstRequestMs: 10_000, answerMs: 20_000 },
}

let clock: VirtualClock
let server: Server
let port: number
let notes: string[]
let certificate: { readonly certPem: string; readonly keyPem: string }
/** Responses that are held back, by path. */
let held: (() => void)[]
/** Requests for which Node created objects. */
let parsed: number

beforeAll(async () => {
  certificate = await throwawayCertificate(['127.0.0.1'])
})

beforeEach(() => {
  clock = new VirtualClock()
  notes = []
  held = []
  parsed = 0
})

afterEach(() => {
  server.closeAllConnections()
  dropUnfinished(server)
  server.close()
})

class CountedMessage extends IncomingMessage {
  constructor(socket: Socket) {
    super(socket)
    parsed += 1
  }
}

const RATION = { perSecond: 100, burst: 9, waiting: LIMITS.unfinished }

async function serve(
  limits: Partial<ConnectionLimits> = {},
  isTls = limits.handshakes !== undefined,
): Promise<void> {
  const options = { IncomingMessage: CountedMessage, connectionsCheckingInterval: 100 }
  server = isTls
    ? createHttpsServer({
        ...options,
        cert: certificate.certPem,
        key: certificate.keyPem,
        pauseOnConnect: true,
      })
    : createServer(options)
  server.on('request', (request, response) => {
    request.resume()
    request.on('end', () => {
      const answer = (): void => {
        response.end(request.url === '/large' ? 'x'.repeat(20_000_000) : 'fine')
      }
      if (request.url === '/held') held.push(answer)
      else answer()
    })
  })
  guardServer(
    server,
    { ...LIMITS, ...limits },
    {
      server: 'test',
      clock,
      recordRefusal: (_, reason, address) => notes.push(`${reason} ${address}`),
    },
  )
  port = await listen(server, 0)
}

const open = (callers: readonly Caller[]): boolean[] => callers.map(({ isOpen }) => isOpen)

/** One by one, so that their order is known. */
async function callAll(count: number, from: string, isTls = false): Promise<Caller[]> {
  const callers: Caller[] = []
  for (let n = 0; n < count; n += 1) {
    const before = connectionsOf(server).unfinished
    callers.push(await call({ port, from, isTls }))
    await eventually(() => connectionsOf(server).unfinished !== before || notes.length > 0)
    await clock.advance(1)
  }
  return callers
}

describe('connections without a request', () => {
  test('the address with the most loses its oldest; a client of another one is served', async () => {
    await serve()
    const callers = [await call({ port }), await call({ port })]
    await clock.advance(1)
    const strangers = await callAll(9, STRANGER)
    await eventually(() => strangers.filter(({ isOpen }) => isOpen).length === 6)
    expect(open(strangers)).toEqual([
      ...Array<boolean>(3).fill(false),
      ...Array<boolean>(6).fill(true),
    ])
    for (const caller of callers) {
      await caller.send(GET).answers(1)
      expect(caller.received).toContain('200 OK')
    }
    expect(notes).toEqual(Array(3).fill(`connections ${STRANGER}`))
  })

  test('a client of the flooding address is served, too', async () => {
    await serve()
    const strangers = await callAll(20, STRANGER)
    const caller = await call({ port, from: STRANGER })
    await caller.send(post('{}')).answers(1)
    expect(caller.received).toContain('200 OK')
    expect(strangers.filter(({ isOpen }) => isOpen).length).toBeLessThanOrEqual(6)
  })

  test('never affect a connection with a request, whatever client sends them', async () => {
    await serve()
    const proven = await call({ port, from: STRANGER })
    await proven.send(GET).answers(1)
    await callAll(20, STRANGER)
    await proven.send(GET).answers(2)
    expect(connectionsOf(server).proven).toBe(1)
  })

  test('nor one whose request is being processed', async () => {
    await serve()
    const waiting = await call({ port, from: STRANGER })
    waiting.send(post('{}', '/held'))
    await eventually(() => held.length === 1)
    await callAll(20, STRANGER)
    held[0]!()
    await waiting.answers(1)
  })
})

describe('connections with a request', () => {
  test('the one with the oldest last request is evicted, of the address with the most', async () => {
    await serve()
    const caller = await call({ port })
    await caller.send(GET).answers(1)
    const strangers: Caller[] = []
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(1)
      strangers.push(await call({ port, from: STRANGER }))
      await strangers[n]!.send(GET).answers(1)
    }
    await eventually(() => !strangers[1]!.isOpen)
    expect(open(strangers)).toEqual([false, false, true, true, true])
    await clock.advance(1)
    await strangers[2]!.send(GET).answers(2) // is in use, so another one is the next
    await clock.advance(1)
    await (await call({ port, from: STRANGER })).send(GET).answers(1)
    await eventually(() => !strangers[3]!.isOpen)
    expect(open(strangers)).toEqual([false, false, true, false, true])
    await caller.send(GET).answers(2)
  })

  test('one that is being processed is evicted after all idle ones', async () => {
    await serve()
    const busy = await call({ port })
    busy.send(post('{}', '/held'))
    await eventually(() => held.length === 1)
    for (let n = 0; n < 6; n += 1) {
      await clock.advance(1)
      await (await call({ port })).send(GET).answers(1)
    }
    held[0]!()
    await busy.answers(1)
    expect(connectionsOf(server).proven).toBeLessThanOrEqual(3)
  })
})

describe('deadlines', () => {
  test.each<[string, boolean, (caller: Caller) => void, number]>([
    [
      'a half-sent header',
      false,
      (caller) => caller.send('GET / HTTP/1.1\r\nhost: x\r\nx-a: '),
      10_000,
    ],
    ['a slow body', false, (caller) => caller.send(`${postHead(10)}12345`), 10_000],
    ['nothing at all', false, () => undefined, 10_000],
    ['idle TLS', true, () => undefined, 10_000],
    [
      'an answer that is not taken',
      false,
      (caller) => caller.socket.pause().write(GET.replace('/', '/large')),
      20_000,
    ],
  ])('%s is evicted', async (_what, isTls, send, afterMs) => {
    await serve(isTls ? { handshakes: RATION } : {})
    const slow = await call({ port, isTls })
    send(slow)
    await eventually(() => connectionsOf(server).unfinished + connectionsOf(server).proven === 1)
    await new Promise((resolve) => setTimeout(resolve, 50)) // so that what was sent has arrived
    await clock.advance(afterMs - 1000)
    const caller = await call({ port, isTls })
    await caller.send(GET).answers(1)
    expect(notes).toEqual([])
    await clock.advance(2000)
    await eventually(() => notes.length === 1)
    expect(notes).toEqual(['deadline 127.0.0.1'])
    await caller.send(GET).answers(2) // Node's own deadline for idle ones is another matter
  })

  test('idle TCP connections of a TLS server are evicted first', async () => {
    await serve({ handshakes: RATION })
    const idle = await call({ port })
    await eventually(() => connectionsOf(server).unfinished === 1)
    await clock.advance(6000)
    await idle.closed
    expect(notes).toEqual(['deadline 127.0.0.1'])
    expect(clock.pending).toBe(0) // and nothing is looked at any more
  })
})

describe('handshakes', () => {
  const handshakes = { perSecond: 10, burst: 2, waiting: { max: 4, maxPerAddress: 3 } }

  test('are rate-limited; one that waited works like any other', async () => {
    await serve({ handshakes })
    const first = await callAll(2, '127.0.0.1', true)
    const late = begin({ port, isTls: true })
    await eventually(() => connectionsOf(server).unfinished === 3)
    let isSecure = false
    late.socket.once('secureConnect', () => {
      isSecure = true
    })
    await first[0]!.send(GET).answers(1)
    expect(isSecure).toBe(false)
    await clock.advance(100)
    await late.send(post('{}')).answers(1)
    expect(isSecure).toBe(true)
    await first[1]!.send(GET).answers(1)
  })

  test('many simultaneous ones all finish: none is evicted for the next one during its grace period', async () => {
    const waiting = { max: 99, maxPerAddress: 99 }
    await serve({ handshakes: { perSecond: 1e6, burst: 99, waiting } })
    const callers = Array.from({ length: 40 }, () => begin({ port, isTls: true }))
    await Promise.all(callers.map((caller) => caller.send(GET).answers(1)))
    expect(notes.filter((note) => !note.startsWith('connections'))).toEqual([])
    expect(callers.every(({ received }) => received.includes('200 OK'))).toBe(true)
  })

  test('an idle one is evicted for the next one after a while', async () => {
    const limits = { max: 2, maxPerAddress: 2 }
    await serve({ unfinished: limits, handshakes: RATION })
    const idle = await callAll(2, '127.0.0.1', true)
    const caller = begin({ port, isTls: true })
    await eventually(() => connectionsOf(server).unfinished === 3)
    await clock.advance(900)
    expect(open(idle)).toEqual([true, true])
    await clock.advance(200)
    await caller.send(GET).answers(1)
    expect(open(idle)).toEqual([false, true])
  })

  test('a flooding address waits for its own entries; another address goes first', async () => {
    await serve({ handshakes })
    await callAll(2, STRANGER, true)
    for (let n = 0; n < 6; n += 1) begin({ port, from: STRANGER, isTls: true })
    await eventually(() => notes.length === 3)
    const caller = begin({ port, isTls: true })
    await eventually(() => connectionsOf(server).unfinished === 6)
    await clock.advance(100)
    await caller.send(GET).answers(1)
    expect(notes).toEqual(Array(3).fill(`connections ${STRANGER}`))
  })

  test('a client that resets its connection while it waits crashes nothing', async () => {
    await serve({ handshakes: { ...handshakes, burst: 1, waiting: LIMITS.unfinished } })
    await callAll(1, STRANGER, true)
    const gone = Array.from({ length: 5 }, () => begin({ port, from: STRANGER }))
    await eventually(() => connectionsOf(server).unfinished === 6)
    for (const { socket } of gone) socket.resetAndDestroy()
    await clock.advance(1000)
    await eventually(() => connectionsOf(server).unfinished <= 1)
    await (await call({ port, isTls: true })).send(GET).answers(1)
  })
})

describe('requests before the response to the previous one', () => {
  test.each([
    ['on HTTP', false, GET],
    ['on TLS', true, GET],
    ['that Node refuses itself: without host', false, 'GET / HTTP/1.1\r\n\r\n'],
    ['that Node refuses itself: an expectation', false, GET.replace('host', 'expect: x\r\nhost')],
  ])(
    'close the connection before objects are created for them: %s',
    async (_what, isTls, request) => {
      await serve(isTls ? { handshakes: RATION } : {})
      const stranger = await call({ port, isTls })
      stranger.send(request.repeat(1000))
      await stranger.closed
      expect(parsed).toBeLessThanOrEqual(4)
      expect(notes).toEqual(['pipelining 127.0.0.1'])
      const caller = await call({ port, isTls })
      await caller.send(GET).answers(1)
    },
  )

  test('a client that sends its next request right after the response is not refused', async () => {
    await serve()
    const caller = await call({ port })
    for (let n = 1; n <= 500; n += 1) await caller.send(n % 2 === 0 ? GET : post('{}')).answers(n)
    expect(notes).toEqual([])
  })
})

test('invalid requests get the same response as from Node', async () => {
  await serve()
  for (const [sent, status] of [
    ['nonsense\r\n\r\n', '400 Bad Request'],
    [
      `GET / HTTP/1.1\r\nhost: ${'x'.repeat(20_000)}\r\n\r\n`,
      '431 Request Header Fields Too Large',
    ],
  ] as const) {
    const caller = await call({ port })
    caller.send(sent)
    await caller.closed
    expect(caller.received).toContain(status)
  }
})
