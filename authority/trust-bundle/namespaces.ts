import { INJECTION_LABEL } from '../../contract/names.ts'
import type { KubeClient, Query } from '../../shared/server/kube/kube-client.ts'
import { Reflector, type ReflectorDeps } from '../../shared/server/kube/reflector.ts'

type State = 'active' | 'terminating'

/** The namespaces that get the trust bundle: the enabled ones, and that of the driver if it exists. */
export interface BundleNamespaces {
  readonly ready: boolean
  start(): void
  stop(): void
  /** Undefined for a namespace that gets none. */
  get(namespace: string): State | undefined
  keys(): readonly string[]
  /** Asks the apiserver: the watch for namespaces may lag behind the one for ConfigMaps. */
  isWanted(namespace: string): Promise<boolean>
}

type Deps = Pick<ReflectorDeps<State>, 'kube' | 'clock' | 'random' | 'log' | 'onChange'>

export function watchBundleNamespaces(deps: Deps, driverNamespace: string): BundleNamespaces {
  const watch = (selector: Query): Reflector<State> =>
    new Reflector<State>({
      ...deps,
      path: '/api/v1/namespaces',
      kind: 'Namespace',
      selector,
      keep: ({ metadata }) =>
        metadata['deletionTimestamp'] === undefined ? 'active' : 'terminating',
    })
  const all = [
    watch({ labelSelector: `${INJECTION_LABEL.key}=${INJECTION_LABEL.value}` }),
    watch({ fieldSelector: `metadata.name=${driverNamespace}` }),
  ]
  return {
    get ready() {
      return all.every(({ ready }) => ready)
    },
    start() {
      for (const one of all) one.start()
    },
    stop() {
      for (const one of all) one.stop()
    },
    get: (namespace) => all.map((one) => one.get(namespace)).find((state) => state !== undefined),
    keys: () => [...new Set(all.flatMap((one) => [...one.keys()]))],
    isWanted: async (namespace) =>
      namespace === driverNamespace || (await isEnabled(deps.kube, namespace)),
  }
}

async function isEnabled(kube: KubeClient, name: string): Promise<boolean> {
  const namespace = await kube.getMetadata(`/api/v1/namespaces/${encodeURIComponent(name)}`)
  const labels = (namespace?.metadata['labels'] ?? {}) as Readonly<Record<string, unknown>>
  return labels[INJECTION_LABEL.key] === INJECTION_LABEL.value
}
