import { AUTHORITY, TRUST_BUNDLE } from '../../contract/certificates.ts'
import { INJECTION_LABEL } from '../../contract/names.ts'
import { sleep, type Clock, type Random } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import { KubeError, type KubeClient, type KubeObject } from '../../service/kube/kube-client.ts'
import { Reflector } from '../../service/kube/reflector.ts'
import { isInStep, OURS, wantedBundle, type Owner } from './config-map.ts'

export interface BundleDeps {
  readonly kube: KubeClient
  /** PEM of every CA that peers accept; undefined until there is a CA. */
  readonly bundlePem: () => string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface BundleWriter {
  readonly ready: boolean
  start(): void
  /** Looks through all namespaces soon, as after each change that is seen. */
  wake(): void
  stop(): void
}

/** Everything is compared again after this long, whatever was missed. */
const RESYNC_MS = 60_000
/** Changes that come together are one pass. */
const GATHER_MS = 100
const RETRY_MS = 5000
const MOST_AT_ONCE = 8

const OWNER_PATH = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${AUTHORITY.service}`

/**
 * Keeps the trust bundle in every namespace that takes part, and takes it away where one no longer
 * does. Replicas do the same work; whoever comes second finds it done, and a lost race is no error.
 */
export function createBundleWriter(deps: BundleDeps): BundleWriter {
  const { kube, clock, random, log } = deps
  let stopped = false
  let owner: Owner | undefined
  let nudge = Promise.withResolvers<undefined>()
  const wake = (): void => {
    nudge.resolve(undefined)
  }
  const shared = { kube, clock, random, log, onChange: wake }
  const namespaces = new Reflector<'live' | 'ending'>({
    ...shared,
    path: '/api/v1/namespaces',
    kind: 'Namespace',
    selector: { labelSelector: `${INJECTION_LABEL.key}=${INJECTION_LABEL.value}` },
    keep: ({ metadata }) => (metadata['deletionTimestamp'] === undefined ? 'live' : 'ending'),
  })
  const configMaps = new Reflector<KubeObject>({
    ...shared,
    path: '/api/v1/configmaps',
    kind: 'ConfigMap',
    // By name, so that a right to this name alone is enough.
    selector: { fieldSelector: `metadata.name=${TRUST_BUNDLE.configMap}` },
    whole: true,
    keep: ({ metadata, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, managedFields: undefined },
    }),
  })

  /** One pass over all; counts what could not be done. */
  const pass = async (): Promise<number> => {
    const pem = deps.bundlePem()
    if (pem === undefined || !namespaces.ready || !configMaps.ready) return 0
    owner ??= await ownerOf(kube)
    const present = owner
    const writes = namespaces.keys().flatMap((namespace) => {
      if (namespaces.get(namespace) === 'ending') return [] // nothing can be made in it any more
      const before = configMaps.get(`${namespace}/${TRUST_BUNDLE.configMap}`)
      if (before !== undefined && isInStep(before, pem, present)) return []
      return [() => write(kube, wantedBundle(namespace, pem, present), before)]
    })
    const removals = configMaps.keys().flatMap((key) => {
      const [namespace = ''] = key.split('/', 1)
      const found = configMaps.get(key)
      if (found === undefined || namespaces.get(namespace) !== undefined || !isOurs(found))
        return []
      return [() => kube.remove(`${collectionOf(namespace)}/${TRUST_BUNDLE.configMap}`)]
    })
    return settle([...writes, ...removals], log)
  }
  const restUntil = (nudged: Promise<undefined>, ms: number): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(ms, resolve)
      void nudged.then(() => {
        cancel()
        resolve()
      })
    })
  const run = async (): Promise<void> => {
    while (!stopped) {
      const failures = await pass().catch((error: unknown) => {
        log.warn({ reason: messageOf(error) }, 'trust bundles cannot be brought in step')
        return 1
      })
      await restUntil(nudge.promise, failures > 0 ? RETRY_MS : RESYNC_MS)
      await sleep(clock, GATHER_MS)
      nudge = Promise.withResolvers<undefined>()
    }
  }

  return {
    get ready() {
      return namespaces.ready && configMaps.ready
    },
    start() {
      namespaces.start()
      configMaps.start()
      void run()
    },
    wake,
    stop() {
      stopped = true
      wake()
      namespaces.stop()
      configMaps.stop()
    },
  }
}

function isOurs({ metadata }: KubeObject): boolean {
  const labels = (metadata['labels'] ?? {}) as Readonly<Record<string, string>>
  return labels[OURS.key] === OURS.value
}

function collectionOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`
}

/** The bundles go with it: a namespaced object may belong to a cluster-scoped one. */
async function ownerOf(kube: KubeClient): Promise<Owner | undefined> {
  const uid = (await kube.getMetadata(OWNER_PATH))?.metadata['uid']
  return typeof uid === 'string' ? { uid } : undefined
}

async function write(
  kube: KubeClient,
  wanted: KubeObject,
  before: KubeObject | undefined,
): Promise<void> {
  const { namespace = '', name = '' } = wanted.metadata
  const { resourceVersion } = before?.metadata ?? {}
  if (resourceVersion === undefined) await kube.create(collectionOf(namespace), wanted)
  else {
    const metadata = { ...wanted.metadata, resourceVersion }
    await kube.replace(`${collectionOf(namespace)}/${name}`, { ...wanted, metadata })
  }
}

/** Runs a few at a time. A lost race, or a namespace that is going, is no failure. */
async function settle(actions: readonly (() => Promise<void>)[], log: Logger): Promise<number> {
  const left = [...actions]
  let failures = 0
  const worker = async (): Promise<void> => {
    for (let action = left.shift(); action !== undefined; action = left.shift()) {
      try {
        await action()
      } catch (error) {
        if (error instanceof KubeError && [404, 409].includes(error.status)) continue
        failures += 1
        log.warn({ reason: messageOf(error) }, 'trust bundle not written')
      }
    }
  }
  await Promise.all(Array.from({ length: MOST_AT_ONCE }, worker))
  return failures
}
