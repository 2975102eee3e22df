import { AUTHORITY } from '../../contract/certificates.ts'
import { limitConcurrency, type Limit } from '../../shared/base/concurrency.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { KubeClient, KubeObject } from '../../shared/server/kube/kube-client.ts'
import { Refusal } from '../refusal.ts'
import { identityFrom, type Identity } from './identity.ts'

/** Looks up objects at the apiserver. Every method throws a Refusal if it cannot be reached. */
export interface Cluster {
  /** Reviews a token. */
  identify(token: string): Promise<Identity>
  /** Read now, without a cache; undefined if absent. */
  pod(identity: Identity): Promise<KubeObject | undefined>
  namespace(name: string): Promise<KubeObject | undefined>
}

/** For each kind: a tenant's object may be as large as the apiserver allows, 1.5 MiB. */
const MAX_CONCURRENT_READS = 8

export function createCluster(kube: KubeClient): Cluster {
  const pods = limitConcurrency(MAX_CONCURRENT_READS)
  const namespaces = limitConcurrency(MAX_CONCURRENT_READS)
  const read = <T>(limit: Limit, action: () => Promise<T>): Promise<T> =>
    orUnreachable(limit(action))
  return {
    async identify(token) {
      const review = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences: [AUTHORITY.audience] },
      }
      const path = '/apis/authentication.k8s.io/v1/tokenreviews'
      return identityFrom((await orUnreachable(kube.create(path, review)))['status'], token)
    },
    pod: ({ namespace, podName }) =>
      read(pods, () =>
        kube.get(`/api/v1/namespaces/${segment(namespace)}/pods/${segment(podName)}`),
      ),
    namespace: (name) =>
      read(namespaces, () => kube.getMetadata(`/api/v1/namespaces/${segment(name)}`)),
  }
}

function segment(name: string): string {
  return encodeURIComponent(name)
}

async function orUnreachable<T>(response: Promise<T>): Promise<T> {
  try {
    return await response
  } catch (error) {
    throw new Refusal('apiserver-unreachable', messageOf(error), { cause: error })
  }
}
