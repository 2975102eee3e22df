/** Test double: what an apiserver keeps, with one revision that counts every write. Never shipped. */

import { applyPatch, type Operation } from 'rfc6902'

export interface StoredObject {
  readonly metadata: {
    readonly name?: string
    readonly namespace?: string
    readonly resourceVersion?: string
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly path: string
  readonly object: StoredObject
  readonly revision: number
}

/** Of a deletion. */
export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

/** What an apiserver answers instead of doing it; `status` is the one of HTTP. */
export class ApiserverRefusal extends Error {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

/** Objects by their API path, such as `/api/v1/namespaces/a/secrets/b`, and how they became so. */
export class ApiserverStore {
  #revision = 1
  /** Events up to here are forgotten. */
  #compactedTo = 0
  #history: StoreEvent[] = []
  readonly #objects = new Map<string, StoredObject>()
  readonly #listeners = new Set<(event: StoreEvent) => void>()

  get revision(): number {
    return this.#revision
  }

  get compactedTo(): number {
    return this.#compactedTo
  }

  get(path: string): StoredObject | undefined {
    return this.#objects.get(path)
  }

  /** @throws ApiserverRefusal 404 */
  present(path: string): StoredObject {
    const object = this.#objects.get(path)
    if (object === undefined) throw new ApiserverRefusal(404, 'NotFound', `${path} not found`)
    return object
  }

  /** @throws ApiserverRefusal 404; 409 if its resourceVersion is not the stored one */
  put(path: string, object: StoredObject): StoredObject {
    const { resourceVersion, name } = this.present(path).metadata
    const carried = object.metadata.resourceVersion
    if (object.metadata.name !== name) {
      throw new ApiserverRefusal(400, 'BadRequest', 'the name differs from the one in the path')
    }
    if (carried !== undefined && carried !== resourceVersion) {
      throw new ApiserverRefusal(409, 'Conflict', 'the object has been modified')
    }
    const kept = updated(this.present(path), object)
    if (kept.metadata['deletionTimestamp'] === undefined || hasFinalizers(kept)) {
      return this.write(path, kept)
    }
    this.remove(path) // its last finalizer is gone
    return kept
  }

  /**
   * As a client deletes: an object with finalizers is only marked, and goes with the last of them.
   *
   * @throws ApiserverRefusal 404; 409 if uid or resourceVersion does not match the precondition
   */
  delete(path: string, preconditions: Preconditions = {}): void {
    const present = this.present(path)
    for (const field of ['uid', 'resourceVersion'] as const) {
      const wanted = preconditions[field]
      if (wanted === undefined || wanted === present.metadata[field]) continue
      throw new ApiserverRefusal(409, 'Conflict', `the ${field} in the precondition is another`)
    }
    if (!hasFinalizers(present)) {
      this.remove(path)
      return
    }
    const deletionTimestamp = '2026-01-01T00:00:00Z'
    this.write(path, { ...present, metadata: { ...present.metadata, deletionTimestamp } })
  }

  /** @throws ApiserverRefusal 404; 422 if an operation fails, tests of a value included */
  patch(path: string, operations: readonly Operation[]): StoredObject {
    const copy = structuredClone(this.present(path))
    if (applyPatch(copy, [...operations]).some((problem) => problem !== null)) {
      throw new ApiserverRefusal(422, 'Invalid', 'the server rejected our request')
    }
    return this.put(path, copy)
  }

  /** The objects whose path passes, in the order of their paths, as etcd lists them. */
  list(isWanted: (path: string) => boolean): StoredObject[] {
    return [...this.#objects.entries()]
      .filter(([path]) => isWanted(path))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, object]) => object)
  }

  /** Writes the object; a write that changes nothing makes no revision, as in a real apiserver. */
  write(path: string, object: StoredObject): StoredObject {
    const before = this.#objects.get(path)
    if (before !== undefined && contentOf(before) === contentOf(object)) return before
    const stored = this.#stamped(object)
    this.#objects.set(path, stored)
    this.#tell({ type: before === undefined ? 'ADDED' : 'MODIFIED', path, object: stored })
    return stored
  }

  remove(path: string): void {
    const before = this.#objects.get(path)
    if (before === undefined) throw new Error(`${path} does not exist`)
    this.#objects.delete(path)
    this.#tell({ type: 'DELETED', path, object: this.#stamped(before) })
  }

  /** @param revision a watch sees what came after it; must not be below `compactedTo` */
  since(revision: number): readonly StoreEvent[] {
    return this.#history.filter((event) => event.revision > revision)
  }

  /** Forgets the past, as etcd does every five minutes: older revisions are answered with 410. */
  compact(): void {
    this.#history = []
    this.#compactedTo = this.#revision
  }

  /** @returns how to stop listening */
  onEvent(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  #stamped(object: StoredObject): StoredObject {
    this.#revision += 1
    const metadata = { ...object.metadata, resourceVersion: String(this.#revision) }
    return { ...object, metadata }
  }

  #tell(event: Omit<StoreEvent, 'revision'>): void {
    const complete = { ...event, revision: this.#revision }
    this.#history.push(complete)
    for (const listener of this.#listeners) listener(complete)
  }
}

function hasFinalizers({ metadata }: StoredObject): boolean {
  return ((metadata['finalizers'] ?? []) as readonly unknown[]).length > 0
}

/**
 * What an update makes of an object: uid and deletion are not the client's to change, nor is the
 * content of an immutable ConfigMap or Secret. Source: ValidateConfigMapUpdate of Kubernetes.
 *
 * @throws ApiserverRefusal 422
 */
function updated(before: StoredObject, after: StoredObject): StoredObject {
  const content = ({ data, binaryData, immutable }: StoredObject): string =>
    JSON.stringify([data, binaryData, immutable])
  if (before['immutable'] === true && content(before) !== content(after)) {
    throw new ApiserverRefusal(422, 'Invalid', 'data: Forbidden: field is immutable when set')
  }
  const { uid, deletionTimestamp } = before.metadata
  return {
    ...after,
    metadata: {
      ...after.metadata,
      ...(uid === undefined ? {} : { uid }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
  }
}

function contentOf({ metadata, ...rest }: StoredObject): string {
  return JSON.stringify({ ...rest, metadata: { ...metadata, resourceVersion: undefined } })
}

/** Whether an object's path belongs to a collection, which may span all namespaces. */
export function isIn(collection: string): (path: string) => boolean {
  const resource = collection.slice(collection.lastIndexOf('/') + 1)
  const prefix = collection.slice(0, collection.lastIndexOf('/'))
  const spansNamespaces =
    /\/(?:serviceaccounts|secrets|pods|configmaps|podcertificaterequests)$/.test(collection) &&
    !collection.includes('/namespaces/')
  return (path) =>
    spansNamespaces
      ? new RegExp(`^${prefix}/namespaces/[^/]+/${resource}/[^/]+$`).test(path)
      : path.startsWith(`${collection}/`) && !path.slice(collection.length + 1).includes('/')
}

/** Whether labels and fields of an object are those asked for: equality alone. */
export function selected(query: URLSearchParams): (object: StoredObject) => boolean {
  const labels = pairsOf(query.get('labelSelector'))
  const fields = pairsOf(query.get('fieldSelector'))
  const at = (value: unknown, key: string): unknown =>
    (value as Readonly<Record<string, unknown>> | undefined)?.[key]
  return (object) =>
    labels.every(([key, value]) => at(object.metadata['labels'], key) === value) &&
    fields.every(([path, value]) => path.split('.').reduce<unknown>(at, object) === value)
}

function pairsOf(selector: string | null): [string, string][] {
  return (selector ?? '')
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [key = '', value = ''] = part.split('=', 2)
      return [key, value]
    })
}

/** What the apiserver sends if only metadata is asked for. */
export function metadataOf({ metadata }: StoredObject): StoredObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}

export function statusObject(code: number, reason: string, message: string): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  }
}
