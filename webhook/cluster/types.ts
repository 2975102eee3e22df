/** An object of the cluster as far as nocreds reads it: its annotations under our prefix. */
export interface Annotated {
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * What a look at the cluster gives; undefined: there is no such object. A promise only where the
 * apiserver is asked, and it may reject with a ClusterError.
 */
type Looked = Annotated | undefined | Promise<Annotated | undefined>

/** Where Namespaces and ServiceAccounts come from: the apiserver, or files. */
export interface ClusterReader {
  /**
   * As the apiserver says at this moment, so that one that was made, annotated or changed a moment ago is seen;
   * from the cache where it does not say anything in time, and the cached one asks for something.
   */
  serviceAccount(namespace: string, name: string): Looked
  /** The cached one, which may be a moment old; undefined where it asks for nothing. Absent if nothing is cached. */
  rememberedAccount?(namespace: string, name: string): Annotated | undefined
  /** From the cache; a live GET on a miss, where it permits nothing, or where `fresh` is asked for. */
  namespace(name: string, options?: { readonly fresh?: boolean }): Looked
  /** The same reader on behalf of a caller, among whom live GETs are shared fairly; absent if it asks nobody. */
  askedBy?(caller: string): ClusterReader
  /** True once both caches are filled. */
  readonly ready: boolean
  counts(): { readonly ServiceAccount: number; readonly Namespace: number }
}
