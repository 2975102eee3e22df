import { CLUSTER_TRUST_BUNDLE } from '../../contract/certificates.ts'
import type { KubeObject } from '../../shared/server/kube/kube-client.ts'
import { Reflector } from '../../shared/server/kube/reflector.ts'
import { CERTIFICATES_API, waitUntilServed } from '../../shared/server/kube/served.ts'
import { apply, isSame, seenOf, type Seen, type Version } from './apply.ts'
import type { BundleDeps, BundleWriter } from './bundle.ts'
import { bundleMetadata, ownerOf, type Owner } from './config-map.ts'
import { createReconciler, type Reconciler } from './reconciler.ts'
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
  return new ClusterBundle(deps)
}

class ClusterBundle implements BundleWriter {
  readonly #deps: BundleDeps
  readonly #stopping = new AbortController()
  readonly #reconciler: Reconciler
  /** Metadata of the one ClusterTrustBundle; undefined until they are served. */
  #reflector: Reflector<Seen> | undefined
  #written: (Version & { readonly pem: string }) | undefined

  constructor(deps: BundleDeps) {
    this.#deps = deps
    this.#reconciler = createReconciler({ ...deps, reconcile: () => this.#reconcile() })
  }

  get ready(): boolean {
    return this.#reflector?.ready ?? true
  }

  start(): void {
    void this.#watchOnceServed()
  }

  wake(): void {
    this.#reconciler.wake()
  }

  stop(): void {
    this.#stopping.abort()
    this.#reconciler.stop()
    this.#reflector?.stop()
  }

  async #watchOnceServed(): Promise<void> {
    const failed = 'ClusterTrustBundles discovery failed'
    const discovery = { ...this.#deps, resource: RESOURCE, failed }
    if (!(await waitUntilServed(discovery, this.#stopping.signal))) return
    this.#reflector = new Reflector({
      ...this.#deps,
      path: `${CERTIFICATES_API}/${RESOURCE}`,
      kind: 'ClusterTrustBundle',
      selector: { fieldSelector: `metadata.name=${CLUSTER_TRUST_BUNDLE.name}` },
      keep: seenOf,
      onChange: () => {
        this.wake()
      },
    })
    this.#reflector.start()
    this.#reconciler.start()
  }

  async #reconcile(): Promise<number | undefined> {
    const { kube, log, bundlePem } = this.#deps
    const pem = bundlePem()
    if (pem === undefined || this.#reflector?.ready !== true) return undefined
    const seen = this.#reflector.get(CLUSTER_TRUST_BUNDLE.name)
    if (this.#written?.pem === pem && isSame(this.#written, seen)) return 0
    const wanted = wantedClusterBundle(pem, await ownerOf(kube))
    const run = async (): Promise<void> => {
      const target = { collection: `${CERTIFICATES_API}/${RESOURCE}`, wanted }
      const version = await apply(kube, target, seen)
      if (version !== undefined) this.#written = { ...version, pem }
    }
    return runActions([{ run }], log)
  }
}
