import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { BodyError, ENDED_EARLY, HEAD_BYTES, type Body } from './body.ts'
import { createBudget, type Budget, type Member } from './budget.ts'
import type { Limits } from './eviction.ts'
import { type GuardDeps } from './guard.ts'
import { readSmall } from './small-body.ts'
import { addressOf } from './sockets.ts'

/** The budget of bodies of a server: from the first byte to the answer. */
export interface Bodies {
  /** Bytes that all bodies are charged with. */
  readonly charged: number
  /**
   * Reads the body of a request. One that is over `bytes.kept` is refused; up to `bytes.taken`, if that is more,
   * only at its end: a caller that is still sending seldom reads an answer. What is not kept costs nothing of
   * the budget.
   *
   * @throws BodyError
   */
  read(request: IncomingMessage, bytes: BodyBytes): Promise<Body>
}

/** Bounds of one body, in bytes. */
interface BodyBytes {
  readonly kept: number
  /** Default: as many. */
  readonly taken?: number
}

/**
 * Bodies that come in parts are put into blocks of this size, which are used again. What a body holds is
 * then what it is charged with, whatever the parts look like (each part is an object of its own, so one of
 * a single byte takes a hundred times as much) and whenever the garbage collector runs.
 */
export const BLOCK_BYTES = 65_536

/**
 * Over the budget, the connection whose body has not grown for the longest time is destroyed, of the
 * address whose bodies hold the most. A body that is whole stays until it is answered.
 *
 * @param limits in bytes; at least one body of the largest size must fit
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
  /** Blocks that nobody uses. */
  readonly spare: Buffer[]
  readonly clock: Clock
  readonly evict: () => void
}

const NOTHING = Buffer.alloc(0)

/** One body, on its way and afterwards. A class, as every review makes one. */
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
  /** Of one that is too large, at its end. */
  #refuse: (() => void) | undefined

  constructor(request: IncomingMessage, bytes: BodyBytes, store: Store) {
    this.address = addressOf(request.socket)
    this.#request = request
    this.#bytes = bytes
    this.#store = store
  }

  /** @param first what came already */
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
        if (this.#onData === undefined) return // it was let go itself
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
    this.#giveBack()
    return bytes
  }

  charge(bytes: number): void {
    this.#hold(bytes)
    if (this.#store.budget.isWithin(this.address)) return // else only whole bodies are left
    this.release()
    throw new BodyError('ERR_BODY_OVER_BUDGET', 'too many bytes of bodies are held; ask again')
  }

  release(): void {
    this.#giveBack()
    this.#store.budget.delete(this)
  }

  /** Ends it and its connection. */
  drop(): void {
    const { socket } = this.#request
    this.#fail('ERR_BODY_OVER_BUDGET', 'too many bytes of bodies are held')
    // Not at once: this may be in the midst of what Node's parser hands out of the same connection.
    setImmediate(() => socket.destroy())
  }

  /** @param chunk what came last, if anything came */
  #tooLarge(announced: number, chunk: Buffer = NOTHING): void {
    const { kept, taken = kept } = this.#bytes
    const head: Buffer[] = []
    let size = this.size
    const first = this.#blocks[0]
    // A copy: blocks are used again.
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

  #giveBack(): void {
    if (this.#blocks.length > 0) this.#store.spare.push(...this.#blocks)
    this.#blocks = []
  }
}
