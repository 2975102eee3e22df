import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import type { Reflector } from '../../shared/server/kube/reflector.ts'
import { apply, isSame, remove, type Seen, type Version } from './apply.ts'
import { wantedBundle, type Owner } from './config-map.ts'
import type { BundleNamespaces } from './namespaces.ts'
import type { Action } from './run-actions.ts'

/** What is observed. */
interface Observed {
  readonly kube: KubeClient
  readonly namespaces: BundleNamespaces
  /** Every ConfigMap of the name, in any namespace. */
  readonly configMaps: Reflector<Seen>
}

/** What each of the ConfigMaps must have. */
interface Wanted {
  readonly pem: string
  readonly owner: Owner | undefined
}

/** A version that this replica wrote, and its content. */
interface Written extends Version {
  readonly pem: string
  readonly ownerUid: string | undefined
}

/** Finds the writes that make the ConfigMaps what they should be, and remembers those that succeeded. */
export class Changes {
  readonly #observed: Observed
  /** By namespace. */
  readonly #written = new Map<string, Written>()

  constructor(observed: Observed) {
    this.#observed = observed
  }

  actions(wanted: Wanted): Action[] {
    const { namespaces, configMaps } = this.#observed
    for (const namespace of this.#written.keys()) {
      if (namespaces.get(namespace) === undefined) this.#written.delete(namespace)
    }
    const writes = namespaces.keys().flatMap((namespace) => this.#write(namespace, wanted))
    const removals = configMaps.keys().flatMap((key) => this.#removal(namespaceOf(key)))
    return [...writes, ...removals]
  }

  #write(namespace: string, { pem, owner }: Wanted): Action[] {
    const { kube, namespaces, configMaps } = this.#observed
    if (namespaces.get(namespace) === 'terminating') return [] // nothing can be created in it
    const seen = configMaps.get(keyIn(namespace))
    const known = this.#written.get(namespace)
    const ownerUid = owner?.uid
    if (known?.pem === pem && known.ownerUid === ownerUid && isSame(known, seen)) return []
    const target = {
      collection: collectionOf(namespace),
      wanted: wantedBundle(namespace, pem, owner),
    }
    const run = async (): Promise<void> => {
      const version = await apply(kube, target, seen)
      if (version !== undefined) this.#written.set(namespace, { ...version, pem, ownerUid })
    }
    return [{ namespace, run }]
  }

  #removal(namespace: string): Action[] {
    const { kube, namespaces, configMaps } = this.#observed
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
