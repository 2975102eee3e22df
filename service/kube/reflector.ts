import { sleep, type Clock, type Random } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import {
  KubeError,
  type KubeClient,
  type KubeObject,
  type Query,
  type WatchEvent,
} from './kube-client.ts'

/** Objects in one page of a list. */
const PAGE = 500
/** The apiserver ends a watch after about this long; spread, so that replicas do not return in step. */
const WATCH_SECONDS = { least: 300, spread: 300 } as const
const BACKOFF_MS = { first: 1000, cap: 30_000 } as const

export interface ReflectorDeps<Kept> {
  readonly kube: KubeClient
  /** Of the collection, such as `/api/v1/serviceaccounts`. */
  readonly path: string
  readonly kind: string
  /** Selectors, where not every object is wanted. */
  readonly selector?: Query
  /** Whole objects instead of their metadata. */
  readonly whole?: boolean
  /** What is kept of an object. */
  readonly keep: (object: KubeObject) => Kept
  /** Called after each change, and for each object of a new list; undefined: it is gone. */
  readonly onChange?: (key: string, kept: Kept | undefined) => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/**
 * A copy of one kind of object, kept by list and watch. While the apiserver is away the copy stays as
 * it was; a new list replaces it as a whole, so what was deleted meanwhile goes then.
 * Source: Kubernetes API concepts, "Efficient detection of changes", "410 Gone responses".
 */
export class Reflector<Kept> {
  readonly #deps: ReflectorDeps<Kept>
  readonly #stop = new AbortController()
  #objects = new Map<string, Kept>()
  #failures = 0
  #ready = false

  constructor(deps: ReflectorDeps<Kept>) {
    this.#deps = deps
  }

  /** True from the first complete list on. */
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

  /** Runs once; after a failure waits and gives undefined. */
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
      log.warn({ kind, reason: messageOf(error), attempt: this.#failures }, 'list or watch failed')
      await sleep(clock, ceilingMs * (0.5 + random() / 2))
      return undefined
    }
  }

  /** Replaces the copy; gives the resourceVersion that a watch goes on from. */
  async #list(): Promise<string> {
    const fresh = new Map<string, Kept>()
    const { kube, path, selector = {}, whole = false, keep } = this.#deps
    let query: Record<string, string> = { ...selector, limit: String(PAGE) }
    for (;;) {
      const page = await (whole ? kube.list(path, query) : kube.listMetadata(path, query))
      for (const object of page.items ?? []) fresh.set(keyOf(object.metadata), keep(object))
      if (!page.metadata.continue) {
        this.#replace(fresh)
        this.#ready = true
        return page.metadata.resourceVersion ?? ''
      }
      query = { ...selector, limit: String(PAGE), continue: page.metadata.continue }
    }
  }

  /** Watches on and on; returns where only a new list can help. */
  async #follow(resourceVersion: string): Promise<void> {
    const position = { resourceVersion, isGone: false }
    while (!this.#stop.signal.aborted && !position.isGone) {
      await this.#attempt(() => this.#watch(position))
    }
  }

  async #watch(position: { resourceVersion: string; isGone: boolean }): Promise<void> {
    const { kube, path, selector = {}, whole = false, clock, random } = this.#deps
    const seconds = Math.round(WATCH_SECONDS.least + WATCH_SECONDS.spread * random())
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
      this.#failures = 0 // it works, even where something cuts each watch after a while
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
    // A server that ends every watch at once must not be asked in a tight loop.
    const lastedMs = clock.monotonic() - startedAt
    if (lastedMs < BACKOFF_MS.first) await sleep(clock, BACKOFF_MS.first - lastedMs)
  }

  #replace(fresh: Map<string, Kept>): void {
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
    const kept = type === 'DELETED' ? undefined : this.#deps.keep(object)
    if (kept === undefined) this.#objects.delete(key)
    else this.#objects.set(key, kept)
    this.#deps.onChange?.(key, kept)
  }
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
