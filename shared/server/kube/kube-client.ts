import { NocredsError } from '../../base/errors.ts'

/** An operation of RFC 6902, as far as nocreds uses them. */
export type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/** An object as the apiserver sends it, as far as this code looks at it. */
export interface KubeObject {
  readonly metadata: {
    readonly name?: string
    readonly namespace?: string
    readonly resourceVersion?: string
    readonly annotations?: Readonly<Record<string, string>> | null
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

export interface KubeList {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string }
  /** Null where there are none: so Kubernetes writes an empty list of metadata. */
  readonly items: readonly KubeObject[] | null
}

/**
 * One line of a watch. Source: Kubernetes API concepts, "Efficient detection of changes".
 *
 * `TOO_LARGE` is our own: the line was over the bound and is not read; the object's metadata has its name,
 * namespace and resourceVersion alone.
 */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR' | 'TOO_LARGE'
  /** With `ERROR` a Status, whose `code` is 410 where the resourceVersion is too old. */
  readonly object: KubeObject & { readonly code?: number }
}

export type Query = Readonly<Record<string, string>>

/** `status` is the HTTP status of the apiserver's refusal, 0 where it could not be reached. */
export class KubeError extends NocredsError<'ERR_KUBE'> {
  readonly status: number

  constructor(status: number, message: string, cause?: unknown) {
    super('ERR_KUBE', message, { cause })
    this.status = status
  }
}

/** True for a patch that lost against another writer: the apiserver answers 409, or 422 for the test. */
export function isLostRace(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 409 || error.status === 422)
}

/** An answer of more bytes than are read. */
export class AnswerTooLargeError extends NocredsError<'ERR_KUBE_ANSWER_TOO_LARGE'> {
  /** The list's own metadata, which stands before its items; undefined where it was not found. */
  readonly list: KubeList['metadata'] | undefined

  constructor(message: string, list?: KubeList['metadata']) {
    super('ERR_KUBE_ANSWER_TOO_LARGE', message)
    this.list = list
  }
}

type List = (path: string, query: Query, maxBytes?: number) => Promise<KubeList>

type Watch = (
  path: string,
  query: Query,
  onEvent: (event: WatchEvent) => void,
  signal: AbortSignal,
) => Promise<void>

/**
 * The few verbs that nocreds needs, on plain JSON: typed deserialisation of 100,000 objects would
 * cost more than all decisions. `path` is an API path such as `/api/v1/namespaces/a`; every call
 * has its own time limit and throws KubeError, or AnswerTooLargeError where the object is over the bound.
 */
export interface KubeClient {
  /** Undefined where there is none. */
  get(path: string): Promise<KubeObject | undefined>
  /** Metadata only; undefined where there is none. */
  getMetadata(path: string): Promise<KubeObject | undefined>
  /** One page. @throws AnswerTooLargeError where it has more than `maxBytes` */
  readonly list: List
  /** One page, metadata only. @throws as list */
  readonly listMetadata: List
  /** Resolves when the apiserver ends the stream, or the signal does. */
  readonly watch: Watch
  /** Metadata only. */
  readonly watchMetadata: Watch
  /** Needs `metadata.resourceVersion`; status 409 where someone else was faster. */
  replace(path: string, object: KubeObject): Promise<KubeObject>
  /** Status 409 where there is one of this name already. @param path of the collection */
  create(path: string, object: unknown): Promise<KubeObject>
  /**
   * No error where there is none; status 409 where another object has the name than the one of the uid.
   *
   * @param preconditions what the object must be, else it stays
   */
  remove(path: string, preconditions?: { readonly uid: string }): Promise<void>
  /** JSON Patch (RFC 6902). */
  patch(path: string, operations: readonly Operation[]): Promise<KubeObject>
}
