import {
  CERTIFICATE,
  PERMITTED_DNS_NAMES,
  PERMITTED_ROLES,
  ROLE_ARN,
} from '../../contract/names.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import { messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { createFairSlots, type SlotLimits } from '../../shared/server/budget/fair-slots.ts'
import type { KubeClient, KubeObject } from '../../shared/server/kube/kube-client.ts'
import type { Memory } from '../../shared/server/kube/object-copy.ts'
import { Reflector } from '../../shared/server/kube/reflector.ts'
import {
  createNamespaceLabels,
  keepNamespace,
  UNLABELLED,
  type LabelledNamespace,
  type NamespaceLabels,
  type NamespaceLabelsDeps,
} from './namespace-labels.ts'
import { keepOwnAnnotations, NOTHING, sizeOf } from './own-annotations.ts'
import { shareCalls } from './share-calls.ts'
import type { Annotated, ClusterReader } from './types.ts'

export interface CachedReaderDeps {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Called with the result for each Namespace whose label was out of sync. */
  readonly noteLabel: NamespaceLabelsDeps['note']
  /** Called for each ServiceAccount taken from the cache because the apiserver did not answer in time. */
  readonly noteFromMemory: () => void
}

export interface CachedReader extends ClusterReader {
  /** Namespaces whose label is not what their annotations demand. */
  readonly namespacesOutOfSync: number
  start(): void
  stop(): void
}

/** Characters of annotations, for each kind. An object that does not fit is read live, as if it had none. */
const MEMORY: Memory<Annotated> = { sizeOf, max: 16 * 1024 * 1024, placeholder: NOTHING }
const NAMESPACE_MEMORY: Memory<LabelledNamespace> = { ...MEMORY, placeholder: UNLABELLED }

/**
 * Any client may send reviews with made-up names. Whatever it sends, the apiserver gets no more than this many
 * GETs at once, and no more than half of them on behalf of one caller.
 */
const LIVE_GETS: SlotLimits = {
  max: 16,
  maxPerCaller: 8,
  maxWaiting: 512,
  maxWaitingPerCaller: 256,
  maxWaitMs: 3000, // shortly before the review would be denied anyway
}

/**
 * A cached ServiceAccount is still read live, because the watch may be a few milliseconds late: a pod created right
 * after a change must have the new role. After this time the cached one is used.
 */
const LIVE_WAIT_MS = 1000

/** The apiserver's Namespaces, mostly from the cache, and ServiceAccounts, from the cache if it does not answer. */
export function createCachedReader(deps: CachedReaderDeps): CachedReader {
  const labels = createNamespaceLabels({ ...deps, note: deps.noteLabel })
  const caches = createCaches(deps, labels)
  const { accounts, namespaces } = caches
  const slots = createFairSlots(LIVE_GETS, deps.clock)
  const shared = shareCalls((path, caller) => slots.run(caller, () => getLive(deps.kube, path)))
  const readerFor = (caller: string): ClusterReader =>
    readerOf(caches, (path) => shared(path, caller), deps)
  return {
    ...readerFor(''),
    get ready() {
      return accounts.ready && namespaces.ready
    },
    get namespacesOutOfSync() {
      return labels.outOfSync
    },
    askedBy: readerFor,
    start() {
      accounts.start()
      namespaces.start()
    },
    stop() {
      accounts.stop()
      namespaces.stop()
      labels.stop()
    },
  }
}

interface Caches {
  readonly accounts: Reflector<Annotated>
  readonly namespaces: Reflector<LabelledNamespace>
}

/** @param labels are told of each Namespace */
function createCaches(deps: CachedReaderDeps, labels: NamespaceLabels): Caches {
  const accounts = new Reflector({
    ...deps,
    keep: ({ metadata }: KubeObject): Annotated => keepOwnAnnotations(metadata.annotations),
    memory: MEMORY,
    kind: 'ServiceAccount',
    path: '/api/v1/serviceaccounts',
  })
  const namespaces = new Reflector({
    ...deps,
    keep: keepNamespace,
    memory: NAMESPACE_MEMORY,
    kind: 'Namespace',
    path: '/api/v1/namespaces',
    onChange(name, namespace) {
      labels.observe(name, namespace)
    },
  })
  return { accounts, namespaces }
}

/** @param get reads an object live, on behalf of one caller */
function readerOf(
  { accounts, namespaces }: Caches,
  get: (path: string) => Promise<Annotated | undefined>,
  deps: Pick<CachedReaderDeps, 'clock' | 'noteFromMemory'>,
): ClusterReader {
  const remembered = (namespace: string, name: string): Annotated | undefined => {
    const cached = accounts.get(`${namespace}/${name}`)
    return cached !== undefined && hasEither(cached, ROLE_ARN, CERTIFICATE) ? cached : undefined
  }
  return {
    serviceAccount(namespace, name) {
      const live = get(`/api/v1/namespaces/${segment(namespace)}/serviceaccounts/${segment(name)}`)
      const cached = remembered(namespace, name)
      return cached === undefined ? live : liveOr(cached, live, deps)
    },
    rememberedAccount: remembered,
    namespace(name, { fresh = false } = {}) {
      const cached = namespaces.get(name)
      if (
        !fresh &&
        cached !== undefined &&
        hasEither(cached, PERMITTED_ROLES, PERMITTED_DNS_NAMES)
      ) {
        return cached
      }
      return get(`/api/v1/namespaces/${segment(name)}`)
    },
    get ready() {
      return accounts.ready && namespaces.ready
    },
    counts: () => ({ ServiceAccount: accounts.size, Namespace: namespaces.size }),
  }
}

/** The live object, or the cached one if the apiserver does not answer in time. */
function liveOr(
  cached: Annotated,
  live: Promise<Annotated | undefined>,
  { clock, noteFromMemory }: Pick<CachedReaderDeps, 'clock' | 'noteFromMemory'>,
): Promise<Annotated | undefined> {
  const tooLate = Promise.withResolvers<'too late'>()
  const cancel = clock.after(LIVE_WAIT_MS, () => {
    tooLate.resolve('too late')
  })
  const answer = Promise.race([live, tooLate.promise]).catch(() => 'nothing' as const)
  return answer.finally(cancel).then((one) => {
    if (typeof one !== 'string') return one
    noteFromMemory()
    return cached
  })
}

function hasEither({ annotations }: Annotated, one: string, other: string): boolean {
  return annotations[one] !== undefined || annotations[other] !== undefined
}

function segment(name: string): string {
  return encodeURIComponent(name)
}

async function getLive(kube: KubeClient, path: string): Promise<Annotated | undefined> {
  try {
    const found = await kube.getMetadata(path)
    return found === undefined ? undefined : keepOwnAnnotations(found.metadata.annotations)
  } catch (error) {
    throw new NocredsError('ERR_APISERVER_UNREACHABLE', messageOf(error), { cause: error })
  }
}
