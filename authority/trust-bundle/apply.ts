import {
  KubeError,
  type KubeClient,
  type KubeObject,
} from '../../shared/server/kube/kube-client.ts'

/**
 * All that is kept of an object that carries our name: it may be a tenant's, and as large as the
 * apiserver lets it be.
 */
export interface Seen {
  readonly uid: string
  readonly resourceVersion: string
  /** Marked for deletion; only finalizers keep it. */
  readonly isEnding: boolean
  readonly hasFinalizers: boolean
}

/** An object as it is at one moment: no write changes it without another resourceVersion. */
export type Version = Pick<Seen, 'uid' | 'resourceVersion'>

/** Where an object is, and how it is to be. */
export interface Target {
  /** API path of the collection. */
  readonly collection: string
  /** Complete but for uid and resourceVersion. */
  readonly wanted: KubeObject
}

/** Reduces an object, or its metadata, to what is kept of it. */
export function seenOf({ metadata }: KubeObject): Seen {
  const { uid, resourceVersion = '', deletionTimestamp, finalizers } = metadata
  return {
    uid: typeof uid === 'string' ? uid : '',
    resourceVersion,
    isEnding: deletionTimestamp !== undefined,
    hasFinalizers: Array.isArray(finalizers) && finalizers.length > 0,
  }
}

/** Whether what is seen is that very version. */
export function isSame({ uid, resourceVersion }: Version, seen: Seen | undefined): boolean {
  return seen?.uid === uid && seen.resourceVersion === resourceVersion
}

/**
 * Makes the object what is wanted, whatever it is now, without reading it: a write of what is there
 * already changes nothing, and its answer tells the version. An object that cannot be written, such as an
 * immutable ConfigMap, is deleted and created.
 *
 * @param seen undefined if absent
 * @returns the version that holds what is wanted; undefined while the object is being deleted
 * @throws KubeError; 409 and 404 if someone else was faster
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
 * Deletes this object and no later one of its name. Finalizers go after the deletion began: then the
 * apiserver lets nobody add others.
 *
 * @throws KubeError; 409 where another object bears the name by now
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
  const { uid, resourceVersion, isEnding } = seenOf(written)
  return isEnding ? undefined : { uid, resourceVersion }
}
