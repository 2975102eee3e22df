import type { IncomingMessage } from 'node:http'
import { NocredsError } from '../../platform/errors.ts'
import { createBudget, type Budget, type Member } from './budget.ts'
import type { Limits } from './first-to-go.ts'
import { addressOf } from './sockets.ts'
import { type GuardDeps } from './guard.ts'

/** A body that is not read to its end. */
export class BodyError extends NocredsError<
  'ERR_BODY_TOO_LARGE' | 'ERR_BODY_ABORTED' | 'ERR_BODY_OVER_BUDGET'
> {}

/** A whole body. It stays charged until `release`. */
export interface Body {
  /** In bytes. */
  readonly size: number
  /** Its bytes; call it once, at the moment when they are needed, as they are copied where they came in parts. */
  take(): Buffer
  /** Changes what it is charged with, for what was made of it. @throws BodyError over budget */
  charge(bytes: number): void
  /** Gives back what it is charged with; call it once the request is answered. */
  release(): void
}

/** The budget of bodies of a server: from the first byte to the answer. */
export interface Bodies {
  /** Bytes that all bodies are charged with. */
  readonly charged: number
  /**
   * Reads the body of a request. The rest of one that is over `maxBytes` is thrown away as it comes.
   *
   * @throws BodyError
   */
  read(request: IncomingMessage, maxBytes: number): Promise<Body>
}

/**
 * Bodies that come in parts are put into blocks of this size, which are used again. What a body holds is
 * then what it is charged with, whatever the parts look like (each part is an object of its own, so one of
 * a single byte takes a hundred times as much) and whenever the garbage collector runs.
 */
export const BLOCK_BYTES = 65_536

interface Reading extends Member {
  readonly request: IncomingMessage
  readonly blocks: Buffer[]
  size: number
  /** The only part so far, if it may be the whole body. */
  whole: Buffer | undefined
  fail(error: BodyError): void
}

/**
 * Over the budget, the connection whose body has not grown for the longest time is destroyed, of the
 * address whose bodies hold the most. A body that is whole stays until it is answered.
 *
 * @param limits in bytes; at least one body of the largest size must fit
 */
export function createBodies(limits: Limits, deps: GuardDeps): Bodies {
  const budget: Budget<Reading> = createBudget(limits)
  const spare: Buffer[] = []
  const free = (reading: Reading): void => {
    budget.delete(reading)
    spare.push(...reading.blocks.splice(0))
    reading.whole = undefined
  }
  const evict = (): void => {
    for (let one = budget.excess(); one !== undefined; one = budget.excess()) {
      deps.note(deps.server, 'body-bytes', one.address)
      one.fail(new BodyError('ERR_BODY_OVER_BUDGET', 'too many bytes of bodies are held'))
      // Not at once: this may be in the midst of what Node's parser hands out of the same connection.
      setImmediate(() => one.request.socket.destroy())
    }
  }
  /** Whether the body may go on. */
  const grow = (reading: Reading, chunk: Buffer): boolean => {
    reading.sinceMs = deps.clock.monotonic()
    let rest = chunk
    while (rest.length > 0) {
      const used = reading.size % BLOCK_BYTES
      if (used === 0) {
        budget.weigh(reading, (reading.blocks.length + 1) * BLOCK_BYTES)
        evict()
        if (!budget.has(reading)) return false
        reading.blocks.push(spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES))
      }
      const copied = rest.copy(reading.blocks.at(-1) ?? rest, used)
      reading.size += copied
      rest = rest.subarray(copied)
    }
    return true
  }
  const take = (reading: Reading): Buffer => {
    const { whole, blocks, size } = reading
    const bytes = whole ?? Buffer.concat(blocks, size)
    spare.push(...blocks.splice(0))
    reading.whole = undefined
    return bytes
  }
  const bodyOf = (reading: Reading): Body => {
    reading.sinceMs = Infinity
    return {
      size: reading.size,
      take: () => take(reading),
      charge(bytes) {
        budget.weigh(reading, bytes)
        evict()
        if (budget.isWithin(reading.address)) return // else only whole bodies are left
        free(reading)
        throw new BodyError('ERR_BODY_OVER_BUDGET', 'too many bytes of bodies are held; ask again')
      },
      release() {
        free(reading)
      },
    }
  }

  return {
    get charged() {
      return budget.total
    },
    read(request, maxBytes) {
      return new Promise((resolve, reject) => {
        const announced = Number(request.headers['content-length'] ?? NaN)
        const reading: Reading = {
          address: addressOf(request.socket),
          weight: 0,
          sinceMs: deps.clock.monotonic(),
          request,
          blocks: [],
          size: 0,
          whole: undefined,
          fail(error) {
            request.off('data', onData)
            free(reading)
            reject(error)
          },
        }
        const tooLarge = (): void => {
          const allowed = `the body is larger than ${maxBytes} bytes, which is the most allowed`
          reading.fail(new BodyError('ERR_BODY_TOO_LARGE', allowed))
        }
        const onData = (chunk: Buffer): void => {
          if (reading.size + chunk.length > maxBytes) {
            tooLarge()
          } else if (reading.size === 0 && chunk.length === announced) {
            // Most reviews: nothing is copied, and the end is there, too.
            reading.whole = chunk
            reading.size = announced
            budget.weigh(reading, announced)
            evict()
          } else grow(reading, chunk)
        }
        if (announced > maxBytes) {
          tooLarge()
          return
        }
        budget.add(reading)
        request.on('data', onData)
        request.on('end', () => {
          if (budget.has(reading)) resolve(bodyOf(reading))
        })
        const aborted = (): void => {
          if (request.complete || !budget.has(reading)) return
          reading.fail(new BodyError('ERR_BODY_ABORTED', 'the body ended early'))
        }
        request.on('aborted', aborted)
        request.on('error', aborted)
        request.on('close', aborted)
      })
    },
  }
}
