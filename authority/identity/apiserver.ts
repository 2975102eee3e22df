import { AUTHORITY } from '../../contract/certificates.ts'
import { limitConcurrency, type Limit } from '../../shared/base/concurrency.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { KubeClient, KubeObject } from '../../shared/server/kube/kube-client.ts'
import { Refusal } from '../refusal.ts'
import { identityFrom, type Identity } from './identity.ts'

/** What the apiserver knows. Every method throws a Refusal where it cannot be asked. */
export interface Cluster {
  /** Whose token it is. */
  identify(token: string): Promise<Identity>
  /** Read at this moment, from no cache; undefined where there is none. */
  pod(identity: Identity): Promise<KubeObject | undefined>
  namespace(name: string): Promise<KubeObject | undefined>
}

/** Of each kind, read at once: a tenant's object may be as large as the apiserver lets it be, 1.5 MiB. */
const MAX_READS_AT_ONCE = 8

export function createCluster(kube: KubeClient): Cluster {
  const pods = limitConcurrency(MAX_READS_AT_ONCE)
  const namespaces = limitConcurrency(MAX_READS_AT_ONCE)
  const read = <T>(limit: Limit, act: () => Promise<T>): Promise<T> => orUnreachable(limit(act))
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

async function orUnreachable<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    throw new Refusal('apiserver-unreachable', messageOf(error), { cause: error })
  }
}
