import type { IncomingMessage } from 'node:http'
import { endedEarly, type Body } from './body.ts'
import { addressOf } from './sockets.ts'

/** A body that is charged to the budget. */
interface Charged extends Pick<Body, 'charge' | 'release'> {
  sinceMs: number
  start(resolve: (body: Body) => void, reject: (error: Error) => void, first: Buffer): void
}

/** How to continue with a small body in the less usual cases. */
interface Small {
  readonly announced: number
  /** Reads it in parts, or charges it. */
  readonly reading: () => Charged
  readonly resolve: (body: Body) => void
  readonly reject: (error: Error) => void
}

/**
 * Most reviews arrive in one part and are not charged unless they have to wait. They are read without blocks:
 * allocating a block per review makes V8 promote a hundred times as much memory.
 */
export function readSmall(
  request: IncomingMessage,
  { announced, reading, resolve, reject }: Small,
): void {
  let whole: Buffer | undefined
  const onData = (chunk: Buffer): void => {
    if (chunk.length === announced) {
      whole = chunk
      return
    }
    request.off('data', onData)
    request.off('end', onEnd)
    request.off('close', onClose)
    reading().start(resolve, reject, chunk)
  }
  const onEnd = (): void => {
    if (whole !== undefined) resolve(bodyOf(whole, request, reading))
  }
  const onClose = (): void => {
    if (!request.complete) reject(endedEarly())
  }
  request.on('data', onData)
  request.on('end', onEnd)
  request.on('close', onClose)
}

function bodyOf(whole: Buffer, request: IncomingMessage, reading: () => Charged): Body {
  let charged: Charged | undefined
  return {
    address: addressOf(request.socket),
    size: whole.length,
    take: () => whole,
    charge(bytes) {
      charged ??= reading()
      charged.sinceMs = Infinity
      charged.charge(bytes)
    },
    release() {
      charged?.release()
    },
  }
}
