import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What Node's HTTP server keeps at a socket. None of it is public, and a test says whether it is there. */
interface HttpSocket {
  readonly parser?: { onIncoming?: OnIncoming | null } | null
  /** The answer that is under way. */
  readonly _httpMessage?: ServerResponse | null
}

/** Called for each header; the result 2 ends the parsing of what has arrived. */
type OnIncoming = (request: IncomingMessage, keepAlive: boolean) => number

const STOP_PARSING = 2
/** A caller that asks again may leave this much of earlier answers untaken. */
const MAX_UNTAKEN_BYTES = 65_536

/**
 * Ends the parsing of a connection, and calls `refuse`, at a request that comes before the answer to the
 * one before. Node makes objects of all the requests in what it reads at once, a thousand or more, before
 * anything is answered; its public ways to limit that begin when they are made.
 */
export function refusePipelining(socket: Socket, refuse: () => void): void {
  const { parser } = socket as HttpSocket
  const next = parser?.onIncoming
  if (parser == null || next == null) return
  /** The answer that had not quite gone out when the last request came. */
  let followed: ServerResponse | undefined
  parser.onIncoming = (request, keepAlive) => {
    const { _httpMessage: pending } = socket as HttpSocket
    if (pending != null) {
      // It is ended before Node is told that it has gone out, so an honest caller may be faster.
      const isAnswered = pending.writableEnded && pending !== followed
      if (!isAnswered || socket.writableLength > MAX_UNTAKEN_BYTES) {
        parser.onIncoming = () => STOP_PARSING
        refuse()
        return STOP_PARSING
      }
      followed = pending
    }
    return next(request, keepAlive)
  }
}
