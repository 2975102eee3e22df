import type { IncomingMessage } from 'node:http'
import { endedEarly, type Body } from './body.ts'
import { addressOf } from './sockets.ts'

/** A body that the budget knows. */
interface Charged extends Pick<Body, 'charge' | 'release'> {
  sinceMs: number
  start(resolve: (body: Body) => void, reject: (error: Error) => void, first: Buffer): void
}

/** How a small body goes on where it is not the usual case. */
interface Small {
  readonly announced: number
  /** Reads it in parts, or is charged for it. */
  readonly reading: () => Charged
  readonly resolve: (body: Body) => void
  readonly reject: (error: Error) => void
}

/**
 * Most reviews are one part, and nothing is charged for them as long as they need not wait. So they are read
 * without a body in blocks: a review that leaves one behind has V8 promote a hundred times as much.
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
