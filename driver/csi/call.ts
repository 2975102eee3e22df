import type { sendUnaryData, Server, ServerUnaryCall } from '@grpc/grpc-js'
import type { Clock } from '../../shared/base/clock.ts'
import { codeOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { DriverError } from '../errors.ts'
import type { Method } from './methods.ts'
import { statusOf, type CallStatus } from './status.ts'
import { decode, encode, type Fields, type Message } from './wire.ts'

/** Bounds of the calls of one server. */
export interface CallLimits {
  /** Calls under way at once; one more is refused. */
  readonly maxConcurrent: number
  /** A call that takes longer is answered with an error, and its signal is aborted. */
  readonly timeoutMs: number
}

/** Answers one method. The signal is aborted when nobody waits for the answer any more. */
type Answer<Request extends Fields, Response extends Fields> = (
  request: Message<Request>,
  signal: AbortSignal,
) => Message<Response> | Promise<Message<Response>>

/** Registers methods at a server; all of them share the limits. */
export type Register = <Request extends Fields, Response extends Fields>(
  method: Method<Request, Response>,
  answer: Answer<Request, Response>,
) => void

/**
 * @param log gets a line for an error that is not a NocredsError: its code and name, and never its message,
 *   which could quote a request
 */
export function registerAt(
  server: Server,
  limits: CallLimits,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Register {
  const counted = limitCalls(limits.maxConcurrent)
  return <Request extends Fields, Response extends Fields>(
    method: Method<Request, Response>,
    answer: Answer<Request, Response>,
  ) => {
    const handle = (
      call: ServerUnaryCall<Buffer, Message<Response>>,
      reply: sendUnaryData<Message<Response>>,
    ): void => {
      const ended = new AbortController()
      call.on('cancelled', () => {
        ended.abort()
      })
      const work = counted(() => answer(decode(method.request, call.request), ended.signal))
      withDeadline(work, ended, limits.timeoutMs, clock).then(
        (response) => {
          reply(null, response)
        },
        (error: unknown) => {
          reply(tell(method, error, log))
        },
      )
    }
    const serialize = (response: Message<Response>): Buffer => encode(method.response, response)
    // Read in handle, where an error is told as all others are.
    server.register(method.path, handle, serialize, (bytes) => bytes, 'unary')
  }
}

/** Runs at most `max` at once and refuses one more. */
function limitCalls(max: number): <T>(work: () => T | Promise<T>) => Promise<T> {
  let underWay = 0
  return async (work) => {
    if (underWay >= max) throw busy(`has ${underWay} calls under way`)
    underWay += 1
    try {
      return await work()
    } finally {
      underWay -= 1 // when the work really ends, even if nobody waits for it any more
    }
  }
}

function tell(method: Method, thrown: unknown, log: Logger): CallStatus {
  if (!(thrown instanceof NocredsError)) {
    const name = thrown instanceof Error ? thrown.name : typeof thrown
    log.error({ method: method.path, code: codeOf(thrown), name }, 'call failed')
  }
  return statusOf(thrown)
}

function withDeadline<T>(
  work: Promise<T>,
  ended: AbortController,
  timeoutMs: number,
  clock: Clock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => {
      ended.abort()
      reject(busy(`gave no answer within ${timeoutMs / 1000} s`))
    })
    work.then(resolve, reject).finally(cancel)
  })
}

function busy(what: string): DriverError {
  return new DriverError('ERR_BUSY', `the driver ${what}; the kubelet tries again`)
}
