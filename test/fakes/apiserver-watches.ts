/** Test double: the open watches of the fake apiserver. Never shipped. */
import type { ServerResponse } from 'node:http'
import {
  isIn,
  metadataOf,
  selected,
  statusObject,
  type ApiserverStore,
  type StoreEvent,
} from './apiserver-store.ts'

export interface WatchRequest {
  /** Of the collection. */
  readonly path: string
  readonly query: URLSearchParams
  readonly isMetadataOnly: boolean
  readonly response: ServerResponse
}

interface Watch extends WatchRequest {
  readonly isWanted: (path: string) => boolean
  /** The revision of the last event that was looked at. */
  reached: number
}

export class ApiserverWatches {
  readonly #store: ApiserverStore
  readonly #open = new Set<Watch>()
  #held: (() => void)[] | undefined
  /** How a resourceVersion that is too old is answered; a real apiserver does either. */
  goneAs: 'event' | 'status' = 'event'

  constructor(store: ApiserverStore) {
    this.#store = store
    store.onEvent((event) => {
      this.#passOn(() => {
        for (const watch of this.#open) sendEvent(watch, event)
      })
    })
  }

  get count(): number {
    return this.#open.size
  }

  open(request: WatchRequest): void {
    const { response, query } = request
    const from = Number(query.get('resourceVersion') ?? this.#store.revision)
    const gone = statusObject(410, 'Expired', `too old resource version: ${from}`)
    const isGone = from < this.#store.compactedTo
    const isRefused = isGone && this.goneAs === 'status'
    response.writeHead(isRefused ? 410 : 200, { 'content-type': 'application/json' })
    if (isRefused) {
      response.end(JSON.stringify(gone))
      return
    }
    if (isGone) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`)
      return
    }
    response.flushHeaders()
    const watch = { ...request, isWanted: isIn(request.path), reached: from }
    // Looked up now: what is compacted while this watch is held back was its own all the same.
    const missed = this.#store.since(from)
    this.#passOn(() => {
      if (response.closed) return
      this.#open.add(watch)
      for (const event of missed) sendEvent(watch, event)
    })
    response.on('close', () => this.#open.delete(watch))
  }

  /** Sends nothing from now on: a watch that lags behind. */
  hold(): void {
    this.#held ??= []
  }

  /** Sends what was held back, in order. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const send of held) send()
  }

  /** Tells every watch that asked for bookmarks how far it has come. */
  bookmark(): void {
    for (const { query, response, reached } of this.#open) {
      const metadata = { resourceVersion: String(reached) } // not what is still held back
      const object = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
      if (query.get('allowWatchBookmarks') !== 'true') continue
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
    }
  }

  /** Ends all watches: in good order, as after `timeoutSeconds`, or by cutting the connection. */
  end(how: 'orderly' | 'cut'): void {
    for (const { response } of this.#open) {
      if (how === 'orderly') response.end()
      else response.destroy()
    }
    this.#open.clear()
  }

  #passOn(send: () => void): void {
    if (this.#held === undefined) send()
    else this.#held.push(send)
  }
}

function sendEvent(watch: Watch, { type, path, object, revision }: StoreEvent): void {
  if (revision <= watch.reached) return
  watch.reached = revision
  if (!watch.isWanted(path)) return
  // An object that leaves the selection is gone, for this watch.
  const seenType = selected(watch.query)(object) ? type : 'DELETED'
  const sent = watch.isMetadataOnly ? metadataOf(object) : object
  watch.response.write(`${JSON.stringify({ type: seenType, object: sent })}\n`)
}
