import { createServer, type Server } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { call, post, postHead, type Caller } from '../../../test/fakes/callers.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import { VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { listen } from '../../base/server.ts'
import { BLOCK_BYTES, createBodies, type Bodies } from './bodies.ts'
import { type Body, type BodyError } from './body.ts'

const STRANGER = '127.0.0.2'
const MAX = 4 * BLOCK_BYTES

let clock: VirtualClock
let bodies: Bodies
let server: Server
let port: number
let notes: string[]
let errors: string[]
/** The beginning of each body that was too large. */
let heads: string[]
/** Bytes that are read of a body that is too large; none above MAX by default. */
let taken: number
/** What is done with a complete body before the response. */
let use: (body: Body) => Promise<void> | void

beforeEach(async () => {
  clock = new VirtualClock()
  notes = []
  errors = []
  heads = []
  taken = MAX
  const mine = errors // what the last test's connections end with is not this one's
  use = () => undefined
  bodies = createBodies(
    { max: 8 * BLOCK_BYTES, maxPerAddress: 6 * BLOCK_BYTES },
    {
      server: 'test',
      clock,
      recordRefusal: (_, reason, address) => notes.push(`${reason} ${address}`),
    },
  )
  server = createServer((request, response) => {
    void (async () => {
      try {
        const body = await bodies.read(request, { kept: MAX, taken })
        try {
          await use(body)
          response.end('fine')
        } finally {
          body.release()
        }
      } catch (error) {
        const { code, head } = error as BodyError
        mine.push(code)
        heads.push(head)
        response.statusCode = 413
        response.end('not fine')
      }
    })()
  })
  port = await listen(server, 0)
})

afterEach(() => {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  return closed
})

/** A body of which this many blocks are sent, and the beginning of one more. */
async function unfinished(blocks: number, from = STRANGER): Promise<Caller> {
  const before = bodies.charged
  const caller = await call({ port, from })
  caller.send(postHead(MAX)).send('x'.repeat((blocks - 1) * BLOCK_BYTES + 1))
  await eventually(() => bodies.charged === before + blocks * BLOCK_BYTES || notes.length > 0)
  await clock.advance(1)
  return caller
}

describe('a body', () => {
  test('is read as it was sent, however it was split, and leaves no charge', async () => {
    const seen: Buffer[] = []
    use = (body) => {
      expect(body.size).toBeGreaterThanOrEqual(0)
      seen.push(body.take())
    }
    const caller = await call({ port })
    let answers = 0
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(1, 7, 500, 700),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 12 }),
        async (seed, times, cuts) => {
          const bytes = Buffer.concat(Array<Uint8Array>(times).fill(seed)).subarray(0, MAX)
          caller.send(postHead(bytes.length))
          let at = 0
          for (const size of cuts) {
            caller.socket.write(bytes.subarray(at, at + size))
            at += size
            await new Promise((resolve) => setImmediate(resolve))
          }
          caller.socket.write(bytes.subarray(at))
          await caller.answers((answers += 1))
          expect(seen.pop()?.equals(bytes)).toBe(true)
          expect(bodies.charged).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test.each([
    ['announces', (caller: Caller) => caller.send(postHead(MAX + 1))],
    [
      'turns out to have',
      (caller: Caller) =>
        caller.send(
          `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n40001\r\n${'x'.repeat(0x40001)}\r\n0\r\n\r\n`,
        ),
    ],
  ])('that %s more than is allowed is refused', async (_what, send) => {
    const caller = await call({ port })
    send(caller)
    await caller.answers(1)
    expect(caller.received).toContain('413')
    expect(errors).toEqual(['ERR_BODY_TOO_LARGE'])
    expect(bodies.charged).toBe(0)
  })

  describe('that is too large, but is read to its end', () => {
    const head = '{"kind":"AdmissionReview","request":{"uid":"u-1"'
    beforeEach(() => {
      taken = 4 * MAX
    })

    test.each([
      ['announces it', (size: number) => postHead(size), 'x'],
      [
        'turns out to be',
        (size: number) =>
          `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n`,
        'x\r\n0\r\n\r\n',
      ],
    ])(
      'and %s, is refused once it arrived completely, with its beginning',
      async (_what, begin, end) => {
        const caller = await call({ port })
        const size = MAX + 3 * BLOCK_BYTES
        caller.send(begin(size)).send(head.padEnd(size - 1, 'x'))
        await eventually(() => caller.socket.bytesWritten > size)
        await clock.settle()
        expect([caller.received, bodies.charged]).toEqual(['', 0])
        caller.send(end)
        await caller.answers(1)
        expect(caller.received).toContain('413')
        expect(errors[0]).toBe('ERR_BODY_TOO_LARGE')
        expect(heads[0]?.startsWith(head)).toBe(true)
        expect(heads[0]).toHaveLength(1024)
      },
    )

    test('and grows beyond the accepted size, is refused immediately', async () => {
      const caller = await call({ port })
      caller.send(postHead(4 * MAX + 1))
      await caller.answers(1)
      expect(errors).toEqual(['ERR_BODY_TOO_LARGE'])
    })

    test('and is incomplete, is an aborted one', async () => {
      const caller = await call({ port })
      caller.send(postHead(2 * MAX)).send('x'.repeat(MAX + 1))
      await clock.settle()
      caller.socket.destroy()
      await eventually(() => errors.length > 0)
      expect(errors).toEqual(['ERR_BODY_ABORTED'])
    })
  })

  test('that is incomplete leaves no charge', async () => {
    const caller = await unfinished(2)
    caller.socket.destroy()
    await eventually(() => bodies.charged === 0)
    expect(errors).toEqual(['ERR_BODY_ABORTED'])
  })

  test('of one byte is charged as a block, as long as more may arrive', async () => {
    await unfinished(1)
    expect(bodies.charged).toBe(BLOCK_BYTES)
  })
})

describe('over the budget', () => {
  test('the address with the most bytes loses the body that waits the longest; others are served', async () => {
    const strangers = [await unfinished(2), await unfinished(2), await unfinished(2)]
    strangers[0]!.send('x'.repeat(10)) // grows, so the second one is the idle one
    await clock.advance(1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const caller = await call({ port })
    await caller.send(post('{}')).answers(1)
    strangers.push(await unfinished(1))
    await eventually(() => !strangers[1]!.isOpen)
    expect(strangers.map(({ isOpen }) => isOpen)).toEqual([true, false, true, true])
    expect(notes).toEqual([`body-bytes ${STRANGER}`])
    expect(errors).toEqual(['ERR_BODY_OVER_BUDGET'])
    await caller.send(post('{}')).answers(2)
  })

  test('a quick client of the flooding address is served', async () => {
    for (let n = 0; n < 6; n += 1) await unfinished(1)
    const caller = await call({ port, from: STRANGER })
    await caller.send(post('x'.repeat(100_000))).answers(1)
    expect(caller.received).toContain('200 OK')
    expect(notes.length).toBeGreaterThanOrEqual(1)
  })

  test('a complete body is never evicted, but data derived from it may exceed the budget', async () => {
    const codes: string[] = []
    const { promise: advance, resolve } = Promise.withResolvers<undefined>()
    use = async (body) => {
      body.take()
      try {
        body.charge(5 * BLOCK_BYTES)
        codes.push('fits')
      } catch (error) {
        codes.push((error as { code: string }).code)
        throw error
      }
      await advance
    }
    const first = await call({ port, from: STRANGER })
    first.send(post('{}'))
    await eventually(() => codes.length === 1)
    const second = await call({ port, from: '127.0.0.3' })
    await second.send(post('{}')).answers(1)
    expect(codes).toEqual(['fits', 'ERR_BODY_OVER_BUDGET'])
    expect(second.received).toContain('413')
    resolve(undefined)
    await first.answers(1)
    expect(first.received).toContain('200 OK')
    expect(bodies.charged).toBe(0)
  })
})
