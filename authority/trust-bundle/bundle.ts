import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import { Reflector } from '../../shared/server/kube/reflector.ts'
import { apply, isSame, remove, seenOf, type Seen, type Version } from './apply.ts'
import { ownerOf, wantedBundle, type Owner } from './config-map.ts'
import { watchBundleNamespaces } from './namespaces.ts'
import { createReconciler } from './reconciler.ts'
import { runActions, type Action } from './run-actions.ts'

export interface BundleDeps {
  readonly kube: KubeClient
  /** PEM of every CA that peers accept; undefined until there is a CA. */
  readonly bundlePem: () => string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** What the writer of ConfigMaps needs beyond that. */
export interface ConfigMapDeps extends BundleDeps {
  /** Namespace of the driver, which gets the trust bundle if it exists. */
  readonly driverNamespace: string
}

export interface BundleWriter {
  readonly ready: boolean
  start(): void
  /** Reconciles all namespaces soon, as after each observed change. */
  wake(): void
  stop(): void
}

/** A version that this replica wrote, and its content. */
interface Written extends Version {
  readonly pem: string
  readonly ownerUid: string | undefined
}

/**
 * Maintains the trust bundle in every enabled namespace, and in that of the driver. Any other ConfigMap of its name, in any namespace, is
 * replaced or removed: a pod that mounts it would trust its CAs.
 *
 * Only metadata is watched, and versions are compared: the content of a tenant's ConfigMap is never read or
 * kept. Replicas do the same work; the second one finds it done, and a lost race is not an error.
 */
export function createBundleWriter(deps: ConfigMapDeps): BundleWriter {
  const { kube, log } = deps
  const written = new Map<string, Written>()
  const shared = {
    ...deps,
    onChange: () => {
      reconciler.wake()
    },
  }
  const namespaces = watchBundleNamespaces(shared, deps.driverNamespace)
  const configMaps = new Reflector<Seen>({
    ...shared,
    path: '/api/v1/configmaps',
    kind: 'ConfigMap',
    // By name, so that permission for this name is sufficient.
    selector: { fieldSelector: `metadata.name=${TRUST_BUNDLE.configMap}` },
    keep: seenOf,
  })

  const writeTo = (namespace: string, pem: string, owner: Owner | undefined): Action[] => {
    if (namespaces.get(namespace) === 'terminating') return [] // nothing can be created in it
    const seen = configMaps.get(keyIn(namespace))
    const known = written.get(namespace)
    const ownerUid = owner?.uid
    if (known?.pem === pem && known.ownerUid === ownerUid && isSame(known, seen)) return []
    const target = {
      collection: collectionOf(namespace),
      wanted: wantedBundle(namespace, pem, owner),
    }
    const run = async (): Promise<void> => {
      const version = await apply(kube, target, seen)
      if (version !== undefined) written.set(namespace, { ...version, pem, ownerUid })
    }
    return [{ namespace, run }]
  }
  const removeFrom = (namespace: string): Action[] => {
    const seen = configMaps.get(keyIn(namespace))
    if (namespaces.get(namespace) !== undefined || seen === undefined) return []
    if (seen.isTerminating && !seen.hasFinalizers) return []
    const run = async (): Promise<void> => {
      if (await namespaces.isWanted(namespace)) return
      // Finalizers too: a pod that is created when the namespace is enabled would mount the kept object.
      await remove(kube, `${collectionOf(namespace)}/${TRUST_BUNDLE.configMap}`, seen)
    }
    return [{ namespace, run }]
  }
  const reconcile = async (): Promise<number | undefined> => {
    const pem = deps.bundlePem()
    if (pem === undefined || !namespaces.ready || !configMaps.ready) return undefined
    const owner = await ownerOf(kube)
    for (const namespace of written.keys()) {
      if (namespaces.get(namespace) === undefined) written.delete(namespace)
    }
    const writes = namespaces.keys().flatMap((namespace) => writeTo(namespace, pem, owner))
    const removals = configMaps.keys().flatMap((key) => removeFrom(namespaceOf(key)))
    return runActions([...writes, ...removals], log)
  }
  const reconciler = createReconciler({ ...deps, reconcile })

  return {
    get ready() {
      return namespaces.ready && configMaps.ready
    },
    start() {
      namespaces.start()
      configMaps.start()
      reconciler.start()
    },
    wake() {
      reconciler.wake()
    },
    stop() {
      reconciler.stop()
      namespaces.stop()
      configMaps.stop()
    },
  }
}

function keyIn(namespace: string): string {
  return `${namespace}/${TRUST_BUNDLE.configMap}`
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

function collectionOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`
}
