import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Member } from './budget.ts'
import { addressOf } from './sockets.ts'

/** Added to `sinceMs` of a connection whose request is being answered, so that it goes after all idle ones. */
const BUSY_MS = 1e12

/** What one connection has done so far. Of a proven one it is asked for, not noted at every request. */
export class Connection implements Member {
  readonly address: string
  readonly weight = 1
  /** What the kernel knows, below TLS: destroying it ends all that stands on it. */
  readonly raw: Socket
  readonly acceptedMs: number
  isSecure: boolean
  /** To the last request. */
  response: ServerResponse | undefined
  readonly begin: () => void
  #activeMs: number
  /** The answer that was under way at the last sweep, and since which one. */
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

  /** Whether a whole request waits for its answer, or for the caller to take it. */
  get isBusy(): boolean {
    const { response } = this
    return response !== undefined && response.req.complete && !response.writableFinished
  }

  /** For how long it has been busy with one request, by the sweeps that saw it. */
  busyMs(nowMs: number): number {
    const { response } = this
    if (response === undefined || !this.isBusy) return 0
    if (this.#seenBusy?.response !== response) this.#seenBusy = { response, sinceMs: nowMs }
    return nowMs - this.#seenBusy.sinceMs
  }
}
