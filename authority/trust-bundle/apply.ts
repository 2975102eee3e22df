import {
  KubeError,
  type KubeClient,
  type KubeObject,
} from '../../shared/server/kube/kube-client.ts'

/**
 * The part that is kept of an object with the name of the trust bundle: it may be a tenant's, and as large as the
 * apiserver allows.
 */
export interface Seen {
  readonly uid: string
  readonly resourceVersion: string
  /** Being deleted; only finalizers keep it. */
  readonly isTerminating: boolean
  readonly hasFinalizers: boolean
}

/** One version of an object: every write changes its resourceVersion. */
export type Version = Pick<Seen, 'uid' | 'resourceVersion'>

/** The desired state of an object. */
export interface Target {
  /** API path of the collection. */
  readonly collection: string
  /** Complete except for uid and resourceVersion. */
  readonly wanted: KubeObject
}

/** Reduces an object, or its metadata, to the part that is kept. */
export function seenOf({ metadata }: KubeObject): Seen {
  const { uid, resourceVersion = '', deletionTimestamp, finalizers } = metadata
  return {
    uid: typeof uid === 'string' ? uid : '',
    resourceVersion,
    isTerminating: deletionTimestamp !== undefined,
    hasFinalizers: Array.isArray(finalizers) && finalizers.length > 0,
  }
}

/** True if the observed object is exactly this version. */
export function isSame({ uid, resourceVersion }: Version, seen: Seen | undefined): boolean {
  return seen?.uid === uid && seen.resourceVersion === resourceVersion
}

/**
 * Creates or replaces the object without reading its content: writing identical content changes nothing, and the
 * response has the version. An object that cannot be updated, such as an immutable ConfigMap, is deleted and
 * created again.
 *
 * @param seen undefined if absent
 * @returns the version with the desired content; undefined while the object is being deleted
 * @throws KubeError; 409 and 404 if another client was faster
 */
export async function apply(
  kube: KubeClient,
  target: Target,
  seen: Seen | undefined,
): Promise<Version | undefined> {
  const { collection, wanted } = target
  if (seen === undefined) return versionOf(await kube.create(collection, wanted))
  const { resourceVersion } = seen
  try {
    const metadata = { ...wanted.metadata, resourceVersion }
    return versionOf(await kube.replace(pathOf(target), { ...wanted, metadata }))
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 422) throw error
  }
  await remove(kube, pathOf(target), seen)
  return versionOf(await kube.create(collection, wanted))
}

/**
 * Deletes exactly this object, not a later one of its name. Finalizers are removed after the deletion: then the
 * apiserver no longer allows adding others.
 *
 * @throws KubeError; 409 if another object has the name now
 */
export async function remove(kube: KubeClient, path: string, seen: Seen): Promise<void> {
  await kube.remove(path, { uid: seen.uid })
  if (!seen.hasFinalizers) return
  await kube.patch(path, [
    { op: 'test', path: '/metadata/uid', value: seen.uid },
    { op: 'remove', path: '/metadata/finalizers' },
  ])
}

function pathOf({ collection, wanted }: Target): string {
  return `${collection}/${encodeURIComponent(wanted.metadata.name ?? '')}`
}

function versionOf(written: KubeObject): Version | undefined {
  const { uid, resourceVersion, isTerminating } = seenOf(written)
  return isTerminating ? undefined : { uid, resourceVersion }
}
