import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import { Reflector, type ReflectorDeps } from '../../shared/server/kube/reflector.ts'
import { seenOf, type Seen } from './apply.ts'
import { Changes } from './changes.ts'
import { ownerOf } from './config-map.ts'
import { watchBundleNamespaces } from './namespaces.ts'
import { createReconciler } from './reconciler.ts'
import { runActions } from './run-actions.ts'

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

/**
 * Maintains the trust bundle in every enabled namespace, and in that of the driver. Any other ConfigMap of its name, in any namespace, is
 * replaced or removed: a pod that mounts it would trust its CAs.
 *
 * Only metadata is watched, and versions are compared: the content of a tenant's ConfigMap is never read or
 * kept. Replicas do the same work; the second one finds it done, and a lost race is not an error.
 */
export function createBundleWriter(deps: ConfigMapDeps): BundleWriter {
  const wake = (): void => {
    reconciler.wake()
  }
  const namespaces = watchBundleNamespaces({ ...deps, onChange: wake }, deps.driverNamespace)
  const configMaps = watchConfigMaps({ ...deps, onChange: wake })
  const changes = new Changes({ kube: deps.kube, namespaces, configMaps })
  const reconcile = async (): Promise<number | undefined> => {
    const pem = deps.bundlePem()
    if (pem === undefined || !namespaces.ready || !configMaps.ready) return undefined
    const owner = await ownerOf(deps.kube)
    return runActions(changes.actions({ pem, owner }), deps.log)
  }
  const reconciler = createReconciler({ ...deps, reconcile })
  const parts = [namespaces, configMaps, reconciler]

  return {
    get ready() {
      return namespaces.ready && configMaps.ready
    },
    start() {
      for (const part of parts) part.start()
    },
    wake,
    stop() {
      for (const part of parts) part.stop()
    },
  }
}

/** Metadata of every ConfigMap of the trust bundle's name. */
function watchConfigMaps(
  deps: BundleDeps & Pick<ReflectorDeps<Seen>, 'onChange'>,
): Reflector<Seen> {
  return new Reflector({
    ...deps,
    path: '/api/v1/configmaps',
    kind: 'ConfigMap',
    // By name, so that permission for this name is sufficient.
    selector: { fieldSelector: `metadata.name=${TRUST_BUNDLE.configMap}` },
    keep: seenOf,
  })
}
