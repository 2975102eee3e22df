import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { BodyError, ENDED_EARLY, HEAD_BYTES, type Body } from './body.ts'
import { createBudget, type Budget, type Member } from './budget.ts'
import type { GuardDeps } from './connection-guard.ts'
import type { Limits } from './eviction.ts'
import { readSmall } from './small-body.ts'
import { addressOf } from './sockets.ts'

/** Limits the bytes of a server's request bodies, from the first byte to the response. */
export interface Bodies {
  /** Bytes charged for all bodies. */
  readonly charged: number
  /**
   * Reads the body of a request. A body over `bytes.kept` is refused; up to `bytes.taken`, if that is more, only at
   * its end, because a client that is still sending seldom reads a response. Discarded bytes are not charged.
   *
   * @throws BodyError
   */
  read(request: IncomingMessage, bytes: BodyBytes): Promise<Body>
}

/** Limits of one body, in bytes. */
interface BodyBytes {
  readonly kept: number
  /** Default: the same as `kept`. */
  readonly taken?: number
}

/**
 * Bodies that arrive in parts are copied into reusable blocks of this size. A body then takes as much memory as it is
 * charged for, whatever its parts look like (each part is an object, so a part of a single byte takes a hundred
 * times as much) and whenever the garbage collector runs.
 */
export const BLOCK_BYTES = 65_536

/**
 * Over the budget, a connection of the address whose bodies take the most bytes is destroyed: the one whose body has
 * not grown for the longest time. A complete body stays until its response is sent.
 *
 * @param limits in bytes; a body of the largest size must fit
 */
export function createBodies(limits: Limits, deps: GuardDeps): Bodies {
  const budget: Budget<Reading> = createBudget(limits)
  const store: Store = {
    budget,
    spare: [],
    clock: deps.clock,
    evict() {
      for (let one = budget.excess(); one !== undefined; one = budget.excess()) {
        deps.recordRefusal(deps.server, 'body-bytes', one.address)
        one.drop()
      }
    },
  }
  return {
    get charged() {
      return budget.total
    },
    read: (request, bytes) =>
      new Promise((resolve, reject) => {
        const announced = Number(request.headers['content-length'] ?? NaN)
        const reading = (): Reading => new Reading(request, bytes, store)
        if (announced > 0 && announced <= Math.min(BLOCK_BYTES, bytes.kept))
          readSmall(request, { announced, reading, resolve, reject })
        else reading().start(resolve, reject)
      }),
  }
}

interface Store {
  readonly budget: Budget<Reading>
  /** Unused blocks. */
  readonly spare: Buffer[]
  readonly clock: Clock
  readonly evict: () => void
}

const NOTHING = Buffer.alloc(0)

/** One body, while it is read and afterwards. A class, because one is created for every review. */
class Reading implements Member, Body {
  readonly address: string
  weight = 0
  sinceMs = 0
  size = 0
  readonly #request: IncomingMessage
  readonly #bytes: BodyBytes
  readonly #store: Store
  #blocks: Buffer[] = []
  #onData: ((chunk: Buffer) => void) | undefined
  #reject: ((error: BodyError) => void) | undefined
  /** Called at the end of a body that is too large. */
  #refuse: (() => void) | undefined

  constructor(request: IncomingMessage, bytes: BodyBytes, store: Store) {
    this.address = addressOf(request.socket)
    this.#request = request
    this.#bytes = bytes
    this.#store = store
  }

  /** @param first bytes that have already arrived */
  start(
    resolve: (body: Body) => void,
    reject: (error: BodyError) => void,
    first: Buffer = NOTHING,
  ): void {
    const request = this.#request
    const announced = Number(request.headers['content-length'] ?? NaN)
    this.#reject = reject
    this.#onData = (chunk) => {
      this.#take(chunk, announced)
    }
    request.on('data', this.#onData)
    request.on('end', () => {
      if (this.#refuse !== undefined) {
        this.#refuse()
        return
      }
      this.sinceMs = Infinity
      resolve(this)
    })
    request.on('close', () => {
      if (!request.complete) this.#fail('ERR_BODY_ABORTED', ENDED_EARLY)
    })
    if (announced > this.#bytes.kept) this.#tooLarge(announced)
    else if (first.length > 0) this.#take(first, announced)
  }

  #take(chunk: Buffer, announced: number): void {
    if (this.size + chunk.length > this.#bytes.kept) this.#tooLarge(announced, chunk)
    else this.#append(chunk)
  }

  #append(chunk: Buffer): void {
    this.sinceMs = this.#store.clock.monotonic()
    let rest = chunk
    while (rest.length > 0) {
      const used = this.size % BLOCK_BYTES
      if (used === 0) {
        this.#hold((this.#blocks.length + 1) * BLOCK_BYTES)
        if (this.#onData === undefined) return // this body was evicted itself
        this.#blocks.push(this.#store.spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES))
      }
      const copied = rest.copy(this.#blocks.at(-1) ?? rest, used)
      this.size += copied
      rest = rest.subarray(copied)
    }
  }

  #hold(bytes: number): void {
    const { budget, evict } = this.#store
    budget.weigh(this, bytes)
    budget.add(this)
    evict()
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.#blocks, this.size)
    this.#returnBlocks()
    return bytes
  }

  charge(bytes: number): void {
    this.#hold(bytes)
    if (this.#store.budget.isWithin(this.address)) return // otherwise only complete bodies are left
    this.release()
    throw new BodyError(
      'ERR_BODY_OVER_BUDGET',
      'too many bytes of request bodies in memory; retry later',
    )
  }

  release(): void {
    this.#returnBlocks()
    this.#store.budget.delete(this)
  }

  /** Discards the body and destroys its connection. */
  drop(): void {
    const { socket } = this.#request
    this.#fail('ERR_BODY_OVER_BUDGET', 'too many bytes of request bodies in memory')
    // Not immediately: Node's parser may be processing data of the same connection.
    setImmediate(() => socket.destroy())
  }

  /** @param chunk the bytes that arrived last, if any */
  #tooLarge(announced: number, chunk: Buffer = NOTHING): void {
    const { kept, taken = kept } = this.#bytes
    const head: Buffer[] = []
    let size = this.size
    const first = this.#blocks[0]
    // A copy, because blocks are reused.
    if (first) head.push(Buffer.from(first.subarray(0, Math.min(size, HEAD_BYTES))))
    const refuse = (): void => {
      const begin = Buffer.concat(head).toString('utf8', 0, HEAD_BYTES)
      const why = `the body is larger than ${kept} bytes, the maximum`
      this.#fail('ERR_BODY_TOO_LARGE', why, begin)
    }
    const skip = (more: Buffer): void => {
      if (size < HEAD_BYTES) head.push(Buffer.from(more.subarray(0, HEAD_BYTES)))
      size += more.length
      if (size > taken) refuse()
    }
    if (this.#onData !== undefined) this.#request.off('data', this.#onData)
    this.release()
    this.#refuse = refuse
    this.#onData = skip
    this.#request.on('data', skip)
    if (announced > taken) refuse()
    else skip(chunk)
  }

  #fail(code: BodyError['code'], message: string, head?: string): void {
    if (this.#onData !== undefined) this.#request.off('data', this.#onData)
    this.#onData = undefined
    this.release()
    this.#reject?.(new BodyError(code, message, head))
  }

  #returnBlocks(): void {
    if (this.#blocks.length > 0) this.#store.spare.push(...this.#blocks)
    this.#blocks = []
  }
}
