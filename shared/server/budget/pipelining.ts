import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Properties that Node's HTTP server sets on a socket. They are not public; a test checks that they exist. */
interface HttpSocket {
  readonly parser?: { onIncoming?: OnIncoming | null } | null
  /** The pending response. */
  readonly _httpMessage?: ServerResponse | null
}

/** Called for each request header; the result 2 stops parsing the data that has arrived. */
type OnIncoming = (request: IncomingMessage, keepAlive: boolean) => number

const STOP_PARSING = 2
/** Bytes of earlier responses that a client may leave unread when it sends its next request. */
const MAX_UNREAD_BYTES = 65_536

/**
 * Stops parsing a connection, and calls `refuse`, if a request arrives before the response to the previous one. Node
 * creates objects for all requests in one read, a thousand or more, before it responds to any; its public options
 * take effect only after that.
 */
export function refusePipelining(socket: Socket, refuse: () => void): void {
  const { parser } = socket as HttpSocket
  const next = parser?.onIncoming
  if (parser == null || next == null) return
  /** The response that was not completely sent when the last request arrived. */
  let followed: ServerResponse | undefined
  parser.onIncoming = (request, keepAlive) => {
    const { _httpMessage: pending } = socket as HttpSocket
    if (pending != null) {
      // A response is ended before Node knows that it was sent, so an honest client may be faster.
      const isAnswered = pending.writableEnded && pending !== followed
      if (!isAnswered || socket.writableLength > MAX_UNREAD_BYTES) {
        parser.onIncoming = () => STOP_PARSING
        refuse()
        return STOP_PARSING
      }
      followed = pending
    }
    return next(request, keepAlive)
  }
}
