import { CLUSTER_TRUST_BUNDLE } from '../../contract/certificates.ts'
import { sleepUnless } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { KubeObject } from '../../shared/server/kube/kube-client.ts'
import { Reflector } from '../../shared/server/kube/reflector.ts'
import {
  CERTIFICATES_API,
  isServed,
  PROBE_MS,
  PROBE_RETRY_MS,
} from '../../shared/server/kube/served.ts'
import { apply, isSame, seenOf, type Seen, type Version } from './apply.ts'
import type { BundleDeps, BundleWriter } from './bundle.ts'
import { bundleMetadata, ownerOf, type Owner } from './config-map.ts'
import { createReconciler } from './reconciler.ts'
import { runActions } from './run-actions.ts'

const RESOURCE = 'clustertrustbundles'

/** The desired ClusterTrustBundle. @param pem of every CA that peers accept */
function wantedClusterBundle(pem: string, owner: Owner | undefined): KubeObject {
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'ClusterTrustBundle',
    metadata: { name: CLUSTER_TRUST_BUNDLE.name, ...bundleMetadata(owner) },
    spec: { signerName: CLUSTER_TRUST_BUNDLE.signerName, trustBundle: pem },
  }
}

/**
 * Maintains the one ClusterTrustBundle once the apiserver serves them; pods may mount it instead of the
 * ConfigMap. Ready unless they are known to be served and their first list is still missing.
 */
export function createClusterBundleWriter(deps: BundleDeps): BundleWriter {
  const { kube, clock, log } = deps
  const stopping = new AbortController()
  let reflector: Reflector<Seen> | undefined
  let written: (Version & { readonly pem: string }) | undefined

  const reconcile = async (): Promise<number | undefined> => {
    const pem = deps.bundlePem()
    if (pem === undefined || reflector?.ready !== true) return undefined
    const seen = reflector.get(CLUSTER_TRUST_BUNDLE.name)
    if (written?.pem === pem && isSame(written, seen)) return 0
    const wanted = wantedClusterBundle(pem, await ownerOf(kube))
    const run = async (): Promise<void> => {
      const target = { collection: `${CERTIFICATES_API}/${RESOURCE}`, wanted }
      const version = await apply(kube, target, seen)
      if (version !== undefined) written = { ...version, pem }
    }
    return runActions([{ run }], log)
  }
  const reconciler = createReconciler({ ...deps, reconcile })
  const watch = (): void => {
    reflector = new Reflector({
      ...deps,
      path: `${CERTIFICATES_API}/${RESOURCE}`,
      kind: 'ClusterTrustBundle',
      selector: { fieldSelector: `metadata.name=${CLUSTER_TRUST_BUNDLE.name}` },
      keep: seenOf,
      onChange: () => {
        reconciler.wake()
      },
    })
    reflector.start()
    reconciler.start()
  }
  const probe = async (): Promise<void> => {
    while (!stopping.signal.aborted && reflector === undefined) {
      let pauseMs = PROBE_MS
      try {
        if (await isServed(kube, RESOURCE)) watch()
      } catch (error) {
        pauseMs = PROBE_RETRY_MS
        log.warn({ error: messageOf(error) }, 'ClusterTrustBundles discovery failed')
      }
      await sleepUnless(clock, pauseMs, stopping.signal)
    }
  }

  return {
    get ready() {
      return reflector?.ready ?? true
    },
    start() {
      void probe()
    },
    wake() {
      reconciler.wake()
    },
    stop() {
      stopping.abort()
      reconciler.stop()
      reflector?.stop()
    },
  }
}
