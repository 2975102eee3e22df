import { sleep, type Clock, type Random } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import {
  AnswerTooLargeError,
  KubeError,
  type KubeClient,
  type KubeList,
  type KubeObject,
  type Query,
  type WatchEvent,
} from './kube-client.ts'
import { ObjectCopy, type Memory } from './object-copy.ts'

/** A page of a list; it is parsed as a whole, and then takes ten times as much memory. */
const PAGE = { objects: 500, bytes: 2 * 1024 * 1024 } as const
/** Duration of a watch; spread, so that replicas do not reconnect at the same time. */
const WATCH_SECONDS = { min: 300, spread: 300 } as const
const BACKOFF_MS = { first: 1000, cap: 30_000 } as const

export interface ReflectorDeps<Kept> {
  readonly kube: KubeClient
  /** Path of the collection, such as `/api/v1/serviceaccounts`. */
  readonly path: string
  readonly kind: string
  /** Selectors, if not every object is needed. */
  readonly selector?: Query
  /** Whole objects instead of their metadata. */
  readonly whole?: boolean
  /** Reduces an object to what is kept. */
  readonly keep: (object: KubeObject) => Kept
  /** Limits of one page of a list; default 500 objects, 2 MiB. A single object over the limit is still read. */
  readonly page?: { readonly objects: number; readonly bytes: number }
  /** Limits what is kept of all objects together. */
  readonly memory?: Memory<Kept>
  /** Called after each change, and for each object of a new list; undefined if it was deleted. */
  readonly onChange?: (key: string, kept: Kept | undefined) => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/**
 * A copy of all objects of one kind, maintained by list and watch. While the apiserver is unreachable the copy stays
 * unchanged; a new list replaces it completely, including objects that were deleted meanwhile.
 * Source: Kubernetes API concepts, "Efficient detection of changes", "410 Gone responses".
 */
export class Reflector<Kept> {
  readonly #deps: ReflectorDeps<Kept>
  readonly #stop = new AbortController()
  #objects: ObjectCopy<Kept>
  #failures = 0
  #ready = false

  constructor(deps: ReflectorDeps<Kept>) {
    this.#deps = deps
    this.#objects = new ObjectCopy(deps.memory)
  }

  /** True after the first complete list. */
  get ready(): boolean {
    return this.#ready
  }

  get size(): number {
    return this.#objects.size
  }

  /** @param key `name`, or `namespace/name` */
  get(key: string): Kept | undefined {
    return this.#objects.get(key)
  }

  keys(): string[] {
    return [...this.#objects.keys()]
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const from = await this.#attempt(() => this.#list())
      if (from !== undefined) await this.#follow(from)
    }
  }

  /** Runs the action once; after a failure it waits and returns undefined. */
  async #attempt<T>(action: () => Promise<T>): Promise<T | undefined> {
    const { clock, random, log, kind } = this.#deps
    try {
      const result = await action()
      this.#failures = 0
      return result
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined
      const ceilingMs = Math.min(
        BACKOFF_MS.cap,
        BACKOFF_MS.first * 2 ** Math.min(this.#failures, 6),
      )
      this.#failures += 1
      log.warn({ kind, error: messageOf(error), attempt: this.#failures }, 'list or watch failed')
      await sleep(clock, ceilingMs * (0.5 + random() / 2))
      return undefined
    }
  }

  /** Replaces the copy; returns the resourceVersion from which a watch continues. */
  async #list(): Promise<string> {
    const { keep, memory, page = PAGE } = this.#deps
    const fresh = new ObjectCopy(memory)
    const position: Position = { limit: page.objects, continue: undefined }
    for (;;) {
      const { metadata, items } = await this.#page(position)
      for (const object of items ?? []) fresh.set(keyOf(object.metadata), keep(object))
      if (!metadata.continue) {
        if (fresh.omitted > 0) {
          const { kind, log } = this.#deps
          log.warn({ kind, objects: fresh.omitted }, 'memory limit exceeded, objects omitted')
        }
        this.#replace(fresh)
        this.#ready = true
        return metadata.resourceVersion ?? ''
      }
      position.continue = metadata.continue
      position.limit = Math.min(position.limit * 2, page.objects)
    }
  }

  /** Reads one page; with fewer objects if it has too many bytes. */
  async #page(position: Position): Promise<KubeList> {
    const { kube, path, selector = {}, whole = false, page = PAGE } = this.#deps
    for (;;) {
      const query: Record<string, string> = { ...selector, limit: String(position.limit) }
      if (position.continue !== undefined) query['continue'] = position.continue
      // For a single object, the client's own limit applies.
      const maxBytes = position.limit === 1 ? undefined : page.bytes
      try {
        const list = whole ? kube.list : kube.listMetadata
        return await list(path, query, maxBytes)
      } catch (error) {
        if (!(error instanceof AnswerTooLargeError)) throw error
        if (position.limit === 1) return this.#omit(error)
        position.limit = Math.max(1, Math.floor(position.limit / 4))
      }
    }
  }

  /** Skips an object that is too large on its own: the list continues after it. */
  #omit(error: AnswerTooLargeError): KubeList {
    if (error.list === undefined) throw error
    const { kind, log } = this.#deps
    log.warn({ kind, error: error.message }, 'object too large, omitted')
    return { metadata: error.list, items: null }
  }

  /** Watches until a new list is needed. */
  async #follow(resourceVersion: string): Promise<void> {
    const position = { resourceVersion, isGone: false }
    while (!this.#stop.signal.aborted && !position.isGone) {
      await this.#attempt(() => this.#watch(position))
    }
  }

  async #watch(position: { resourceVersion: string; isGone: boolean }): Promise<void> {
    const { kube, path, selector = {}, whole = false, clock, random } = this.#deps
    const seconds = Math.round(WATCH_SECONDS.min + WATCH_SECONDS.spread * random())
    const query = {
      ...selector,
      resourceVersion: position.resourceVersion,
      timeoutSeconds: String(seconds),
    }
    const startedAt = clock.monotonic()
    const onEvent = (event: WatchEvent): void => {
      if (event.type === 'ERROR') {
        position.isGone = true
        return
      }
      this.#failures = 0 // it works, even if every watch is cut off after a while
      this.#apply(event)
      position.resourceVersion = event.object.metadata.resourceVersion ?? position.resourceVersion
    }
    try {
      const watch = whole ? kube.watch : kube.watchMetadata
      await watch(path, query, onEvent, this.#stop.signal)
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 410) throw error
      position.isGone = true
    }
    // A server that ends every watch immediately must not be called in a tight loop.
    const lastedMs = clock.monotonic() - startedAt
    if (lastedMs < BACKOFF_MS.first) await sleep(clock, BACKOFF_MS.first - lastedMs)
  }

  #replace(fresh: ObjectCopy<Kept>): void {
    const before = this.#objects
    this.#objects = fresh
    const { onChange } = this.#deps
    if (onChange === undefined) return
    for (const key of before.keys()) if (!fresh.has(key)) onChange(key, undefined)
    for (const [key, kept] of fresh) onChange(key, kept)
  }

  #apply({ type, object }: WatchEvent): void {
    const key = keyOf(object.metadata)
    if (type === 'BOOKMARK') return
    if (type === 'TOO_LARGE') {
      const { kind, log } = this.#deps
      log.warn({ kind, key }, 'object too large, omitted')
    }
    const isGone = type === 'DELETED' || type === 'TOO_LARGE'
    const kept = isGone ? undefined : this.#deps.keep(object)
    if (kept === undefined) this.#objects.delete(key)
    else this.#objects.set(key, kept)
    this.#deps.onChange?.(key, kept)
  }
}

interface Position {
  /** Number of requested objects. */
  limit: number
  continue: string | undefined
}

function keyOf({
  namespace,
  name = '',
}: {
  readonly namespace?: string
  readonly name?: string
}): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}
