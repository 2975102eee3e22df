import {
  CERTIFICATE,
  PERMITTED_DNS_NAMES,
  PERMITTED_ROLES,
  ROLE_ARN,
} from '../../contract/names.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { createFairSlots, type SlotLimits } from '../../shared/server/budget/fair-slots.ts'
import type { KubeClient, KubeObject } from '../../shared/server/kube/kube-client.ts'
import { Reflector, type Memory } from '../../shared/server/kube/reflector.ts'
import {
  createNamespaceLabels,
  keepNamespace,
  UNLABELLED,
  type LabelledNamespace,
  type NamespaceLabelsDeps,
} from './namespace-labels.ts'
import { keepOurs, NOTHING, sizeOf } from './our-annotations.ts'
import { ClusterError, type Annotated, type ClusterReader } from './types.ts'

export interface CachedReaderDeps {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Called with what became of each Namespace whose label was out of sync. */
  readonly noteLabel: NamespaceLabelsDeps['note']
  /** Called for each ServiceAccount that was taken from memory, as the apiserver did not say anything in time. */
  readonly noteFromMemory: () => void
}

export interface CachedReader extends ClusterReader {
  /** Namespaces whose label is not what their annotations demand. */
  readonly namespacesOutOfSync: number
  start(): void
  stop(): void
}

/** Characters of annotations, of each kind. What does not fit is asked for live, as if it said nothing. */
const MEMORY: Memory<Annotated> = { sizeOf, max: 16 * 1024 * 1024, placeholder: NOTHING }
const NAMESPACE_MEMORY: Memory<LabelledNamespace> = { ...MEMORY, placeholder: UNLABELLED }

/**
 * A stranger may send reviews of names that nobody has. Whatever they send, the apiserver is asked no more
 * than this at once, and of one caller's questions no more than half of it.
 */
const LIVE_GETS: SlotLimits = {
  max: 16,
  maxPerCaller: 8,
  maxWaiting: 512,
  maxWaitingPerCaller: 256,
  maxWaitMs: 3000, // the review is denied soon after
}

/**
 * A ServiceAccount that is in memory is asked for all the same, as the watch may be a few milliseconds late:
 * a pod that is created right after a change has the new role. So much later memory is believed.
 */
const LIVE_WAIT_MS = 1000

/** The apiserver's Namespaces, mostly from memory, and ServiceAccounts, from memory where it does not answer. */
export function createCachedReader(deps: CachedReaderDeps): CachedReader {
  const { kube } = deps
  const keep = ({ metadata }: KubeObject): Annotated => keepOurs(metadata.annotations)
  const accounts = new Reflector({
    ...deps,
    keep,
    memory: MEMORY,
    kind: 'ServiceAccount',
    path: '/api/v1/serviceaccounts',
  })
  const labels = createNamespaceLabels({ ...deps, note: deps.noteLabel })
  const namespaces = new Reflector({
    ...deps,
    keep: keepNamespace,
    memory: NAMESPACE_MEMORY,
    kind: 'Namespace',
    path: '/api/v1/namespaces',
    onChange(name, namespace) {
      labels.seen(name, namespace)
    },
  })
  const slots = createFairSlots(LIVE_GETS, deps.clock)
  const shared = shareCalls((path, caller) => slots.run(caller, () => askLive(kube, path)))
  const remembered = (namespace: string, name: string): Annotated | undefined => {
    const cached = accounts.get(`${namespace}/${name}`)
    return cached !== undefined && says(cached, ROLE_ARN, CERTIFICATE) ? cached : undefined
  }
  const readerFor = (ask: (path: string) => Promise<Annotated | undefined>): ClusterReader => ({
    serviceAccount(namespace, name) {
      const live = ask(`/api/v1/namespaces/${segment(namespace)}/serviceaccounts/${segment(name)}`)
      const cached = remembered(namespace, name)
      return cached === undefined ? live : liveOr(cached, live, deps)
    },
    rememberedAccount: remembered,
    namespace(name, { fresh = false } = {}) {
      const cached = namespaces.get(name)
      if (!fresh && cached !== undefined && says(cached, PERMITTED_ROLES, PERMITTED_DNS_NAMES)) {
        return cached
      }
      return ask(`/api/v1/namespaces/${segment(name)}`)
    },
    get ready() {
      return accounts.ready && namespaces.ready
    },
    counts: () => ({ ServiceAccount: accounts.size, Namespace: namespaces.size }),
  })
  return {
    ...readerFor((path) => shared(path, '')),
    get ready() {
      return accounts.ready && namespaces.ready
    },
    get namespacesOutOfSync() {
      return labels.outOfSync
    },
    askedBy: (caller) => readerFor((path) => shared(path, caller)),
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

/** What the apiserver says, or what is in memory where it says nothing in time. */
function liveOr(
  cached: Annotated,
  live: Promise<Annotated | undefined>,
  { clock, noteFromMemory }: Pick<CachedReaderDeps, 'clock' | 'noteFromMemory'>,
): Promise<Annotated | undefined> {
  const tooLate = Promise.withResolvers<'too late'>()
  const cancel = clock.after(LIVE_WAIT_MS, () => {
    tooLate.resolve('too late')
  })
  const said = Promise.race([live, tooLate.promise]).catch(() => 'nothing' as const)
  return said.finally(cancel).then((one) => {
    if (typeof one !== 'string') return one
    noteFromMemory()
    return cached
  })
}

function says({ annotations }: Annotated, one: string, other: string): boolean {
  return annotations[one] !== undefined || annotations[other] !== undefined
}

function segment(name: string): string {
  return encodeURIComponent(name)
}

async function askLive(kube: KubeClient, path: string): Promise<Annotated | undefined> {
  try {
    const found = await kube.getMetadata(path)
    return found === undefined ? undefined : keepOurs(found.metadata.annotations)
  } catch (error) {
    throw new ClusterError('ERR_APISERVER_UNREACHABLE', messageOf(error), { cause: error })
  }
}

/**
 * Questions of one caller for the same thing at the same time share one call. A call that is already under
 * way may have read before the newest question's write, so what comes then shares the next one. Callers
 * share nothing, else a stranger's question in a long queue would hold up another caller's.
 */
function shareCalls<T>(
  call: (path: string, caller: string) => Promise<T>,
): (path: string, caller: string) => Promise<T> {
  const underWay = new Map<string, Promise<unknown>>()
  const waiting = new Map<string, Promise<T>>()
  const start = (key: string, path: string, caller: string): Promise<T> => {
    const started = call(path, caller).finally(() => underWay.delete(key))
    underWay.set(key, started)
    return started
  }
  return (path, caller) => {
    const key = `${caller} ${path}`
    const shared = waiting.get(key)
    if (shared !== undefined) return shared
    const before = underWay.get(key)
    if (before === undefined) return start(key, path, caller)
    const next = before
      .catch(() => undefined)
      .then(() => {
        waiting.delete(key)
        return start(key, path, caller)
      })
    waiting.set(key, next)
    return next
  }
}
