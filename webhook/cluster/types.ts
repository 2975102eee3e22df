/** An object of the cluster as far as nocreds reads it: its annotations under the prefix of nocreds. */
export interface Annotated {
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * The result of a lookup; undefined: there is no such object. A promise only if the apiserver is called; it
 * may reject with a NocredsError, ERR_APISERVER_UNREACHABLE: the same request may succeed later.
 *
 * That it is no promise is how answer.ts knows that a decision does not wait: then a large body may be decided, and no
 * deadline is needed. It is not for speed: awaiting everywhere admitted as many pods in 40 pairs of rounds.
 */
type LookupResult = Annotated | undefined | Promise<Annotated | undefined>

/** Where Namespaces and ServiceAccounts come from: the apiserver, or files. */
export interface ClusterReader {
  /**
   * Read live from the apiserver, so that changes of a moment ago count; from the cache if it does not answer in
   * time and the cached one requests something.
   */
  serviceAccount(namespace: string, name: string): LookupResult
  /** The cached one, which may be slightly stale; undefined if it requests nothing. Absent if the reader has no cache. */
  rememberedAccount?(namespace: string, name: string): Annotated | undefined
  /** From the cache; a live GET on a miss, if the cached one permits nothing, or if `fresh` is requested. */
  namespace(name: string, options?: { readonly fresh?: boolean }): LookupResult
  /** The same reader on behalf of a caller; live GETs are shared fairly among callers. Absent if it makes none. */
  askedBy?(caller: string): ClusterReader
  /** True once both caches are filled. */
  readonly ready: boolean
  counts(): { readonly ServiceAccount: number; readonly Namespace: number }
}
