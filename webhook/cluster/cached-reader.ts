import {
  CERTIFICATE,
  PERMITTED_DNS_NAMES,
  PERMITTED_ROLES,
  ROLE_ARN,
} from '../../contract/names.ts'
import type { Clock, Random } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { KubeClient, KubeObject } from '../../service/kube/kube-client.ts'
import { keepOurs } from './our-annotations.ts'
import { Reflector } from '../../service/kube/reflector.ts'
import { ClusterError, type Annotated, type ClusterReader } from './types.ts'

export interface CachedReaderDeps {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface CachedReader extends ClusterReader {
  start(): void
  stop(): void
}

/** The apiserver's Namespaces and ServiceAccounts, mostly from memory. */
export function createCachedReader(deps: CachedReaderDeps): CachedReader {
  const { kube } = deps
  const keep = ({ metadata }: KubeObject): Annotated => keepOurs(metadata.annotations)
  const accounts = new Reflector({
    ...deps,
    keep,
    kind: 'ServiceAccount',
    path: '/api/v1/serviceaccounts',
  })
  const namespaces = new Reflector({ ...deps, keep, kind: 'Namespace', path: '/api/v1/namespaces' })
  const ask = shareCalls((path) => askLive(kube, path))
  return {
    serviceAccount(namespace, name) {
      const cached = accounts.get(`${namespace}/${name}`)
      if (cached !== undefined && says(cached, ROLE_ARN, CERTIFICATE)) return cached
      return ask(`/api/v1/namespaces/${segment(namespace)}/serviceaccounts/${segment(name)}`)
    },
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
    start() {
      accounts.start()
      namespaces.start()
    },
    stop() {
      accounts.stop()
      namespaces.stop()
    },
  }
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
 * Callers that ask for the same thing at the same time share one call. A call that is already under
 * way may have read before the newest caller's write, so whoever comes then shares the next one.
 */
function shareCalls<T>(call: (path: string) => Promise<T>): (path: string) => Promise<T> {
  const underWay = new Map<string, Promise<unknown>>()
  const waiting = new Map<string, Promise<T>>()
  const start = (path: string): Promise<T> => {
    const started = call(path).finally(() => underWay.delete(path))
    underWay.set(path, started)
    return started
  }
  return (path) => {
    const shared = waiting.get(path)
    if (shared !== undefined) return shared
    const before = underWay.get(path)
    if (before === undefined) return start(path)
    const next = before
      .catch(() => undefined)
      .then(() => {
        waiting.delete(path)
        return start(path)
      })
    waiting.set(path, next)
    return next
  }
}
