import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Member } from './budget.ts'
import { addressOf } from './sockets.ts'

/** Added to `sinceMs` of a connection whose request is being processed, so that idle ones are evicted first. */
const BUSY_MS = 1e12

/** The state of one connection. For a proven one it is computed when needed, not recorded at every request. */
export class Connection implements Member {
  readonly address: string
  readonly weight = 1
  /** The socket below TLS: destroying it ends everything above it. */
  readonly raw: Socket
  readonly acceptedMs: number
  isSecure: boolean
  /** Response to the last request. */
  response: ServerResponse | undefined
  readonly begin: () => void
  #activeMs: number
  /** The response that was pending at the last sweep, and the sweep that first saw it. */
  #seenBusy: { readonly response: ServerResponse; readonly sinceMs: number } | undefined

  constructor(raw: Socket, nowMs: number, isSecure: boolean, begin: () => void) {
    this.address = addressOf(raw)
    this.raw = raw
    this.acceptedMs = nowMs
    this.#activeMs = nowMs
    this.isSecure = isSecure
    this.begin = begin
  }

  get sinceMs(): number {
    return this.#activeMs + (this.isBusy ? BUSY_MS : 0)
  }

  set sinceMs(activeMs: number) {
    this.#activeMs = activeMs
  }

  /** True if a complete request waits for its response, or for the client to read it. */
  get isBusy(): boolean {
    const { response } = this
    return response !== undefined && response.req.complete && !response.writableFinished
  }

  /** Time that it has been busy with one request, as observed by sweeps. */
  busyMs(nowMs: number): number {
    const { response } = this
    if (response === undefined || !this.isBusy) return 0
    if (this.#seenBusy?.response !== response) this.#seenBusy = { response, sinceMs: nowMs }
    return nowMs - this.#seenBusy.sinceMs
  }
}
