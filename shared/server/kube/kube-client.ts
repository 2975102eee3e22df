import { NocredsError } from '../../base/errors.ts'

/** An operation of RFC 6902, limited to those that nocreds uses. */
export type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/** An object of the apiserver, with the fields that are used here. */
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
  /** Null if there are none: Kubernetes writes an empty list of metadata like this. */
  readonly items: readonly KubeObject[] | null
}

/**
 * One line of a watch. Source: Kubernetes API concepts, "Efficient detection of changes".
 *
 * `TOO_LARGE` is specific to nocreds: the line was over the limit; only name, namespace and resourceVersion of the
 * object are known.
 */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR' | 'TOO_LARGE'
  /** For `ERROR` a Status, whose `code` is 410 if the resourceVersion is too old. */
  readonly object: KubeObject & { readonly code?: number }
}

export type Query = Readonly<Record<string, string>>

/** `status` is the HTTP status of the apiserver's error response, 0 if it could not be reached. */
export class KubeError extends NocredsError<'ERR_KUBE'> {
  readonly status: number

  constructor(status: number, message: string, cause?: unknown) {
    super('ERR_KUBE', message, { cause })
    this.status = status
  }
}

/** True for a patch after which another client was faster: the status is 409, or 422 for a failed test. */
export function isLostRace(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 409 || error.status === 422)
}

/** A response of more bytes than are allowed. */
export class AnswerTooLargeError extends NocredsError<'ERR_KUBE_ANSWER_TOO_LARGE'> {
  /** Metadata of the list, which precedes its items; undefined if it was not found. */
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
 * has its own time limit and throws KubeError, or AnswerTooLargeError if the object is over the limit.
 */
export interface KubeClient {
  /** Undefined if absent. */
  get(path: string): Promise<KubeObject | undefined>
  /** Metadata only; undefined if absent. */
  getMetadata(path: string): Promise<KubeObject | undefined>
  /** One page. @throws AnswerTooLargeError if it has more than `maxBytes` */
  readonly list: List
  /** One page, metadata only. @throws the same as list */
  readonly listMetadata: List
  /** Resolves when the apiserver ends the stream, or the signal is aborted. */
  readonly watch: Watch
  /** Metadata only. */
  readonly watchMetadata: Watch
  /** Needs `metadata.resourceVersion`; status 409 if another client was faster. */
  replace(path: string, object: KubeObject): Promise<KubeObject>
  /** Status 409 if an object of this name exists. @param path of the collection */
  create(path: string, object: unknown): Promise<KubeObject>
  /**
   * No error if absent; status 409 if the object of this name has another uid.
   *
   * @param preconditions that the object must meet to be deleted
   */
  remove(path: string, preconditions?: { readonly uid: string }): Promise<void>
  /** JSON Patch (RFC 6902). */
  patch(path: string, operations: readonly Operation[]): Promise<KubeObject>
}
