/** Test double: the fake apiserver's store as a client, for long runs on a virtual clock. Never shipped. */
import type { Operation } from 'rfc6902'
import {
  KubeError,
  type KubeClient,
  type KubeObject,
} from '../../shared/server/kube/kube-client.ts'
import { ApiserverRefusal, type ApiserverStore } from './apiserver-store.ts'

/**
 * Reads and writes objects without HTTP; lists and watches are not there.
 *
 * @param travel awaited on the way there and on the way back, so that calls of several clients mix
 */
export function inMemoryKube(store: ApiserverStore, travel: () => Promise<void>): KubeClient {
  const call = async <T>(action: () => T): Promise<T> => {
    await travel()
    const result = refusalsAsKubeErrors(action)
    await travel()
    return result
  }
  const notThere = (): never => {
    throw new Error('only objects are served from memory')
  }
  return {
    get: (path) => call(() => store.get(path) as KubeObject | undefined),
    getMetadata: notThere,
    list: notThere,
    watch: notThere,
    create: notThere,
    remove: notThere,
    listMetadata: notThere,
    watchMetadata: notThere,
    replace: (path, object) => call(() => store.put(path, object)),
    patch: (path, operations) => call(() => store.patch(path, operations as readonly Operation[])),
  }
}

function refusalsAsKubeErrors<T>(action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof ApiserverRefusal)) throw error
    throw new KubeError(error.status, error.message)
  }
}
