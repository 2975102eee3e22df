import type { ClusterReader } from '../cluster/types.ts'
import {
  decideByPodAlone,
  decidePod,
  serviceAccountOf,
  type PodFacts,
  type Settings,
} from '../admit/decide-pod.ts'
import { nameOf, podSchema, type Pod } from '../admit/pod.ts'
import { denied, unchanged, type Verdict } from '../admit/verdict.ts'
import { firstProblem, type AdmissionRequest } from './review.ts'

/** A verdict, and whom it is about: one line of the decision log. */
export interface Decided {
  readonly verdict: Verdict
  readonly subject: {
    readonly namespace?: string
    /** Name or generateName. */
    readonly name: string
    readonly serviceAccount?: string
  }
}

/**
 * From the review of a Pod to its verdict: reads what the decision depends on, and decides.
 *
 * The cache may lag behind what was applied a moment ago, so a denial for want of permission is
 * checked once more against the apiserver before it is given.
 *
 * @throws ClusterError where the apiserver is needed and cannot be asked
 */
export async function reviewPod(
  request: AdmissionRequest,
  cluster: ClusterReader,
  settings: Settings,
): Promise<Decided> {
  const parsed = podSchema.safeParse(request.object)
  const namespace = request.namespace ?? ''
  if (request.operation !== 'CREATE') {
    return {
      verdict: unchanged('operation-not-handled'),
      subject: { namespace, name: request.name ?? '' },
    }
  }
  if (!parsed.success || namespace === '') {
    const why = parsed.success ? 'request.namespace is missing' : firstProblem(parsed.error)
    const verdict = denied('invalid-object', `the review holds no valid Pod: ${why}`)
    return { verdict, subject: { namespace, name: request.name ?? '' } }
  }
  const pod = parsed.data
  const subject = { namespace, name: nameOf(pod), serviceAccount: serviceAccountOf(pod) }
  const verdict =
    decideByPodAlone(pod) ?? (await decideWithCluster(pod, namespace, { cluster, settings }))
  return { verdict, subject }
}

interface Lookup {
  readonly cluster: ClusterReader
  readonly settings: Settings
}

async function decideWithCluster(pod: Pod, namespace: string, lookup: Lookup): Promise<Verdict> {
  const { cluster, settings } = lookup
  const [account, permits] = await Promise.all([
    cluster.serviceAccount(namespace, serviceAccountOf(pod)),
    cluster.namespace(namespace),
  ])
  const facts: PodFacts = {
    pod,
    namespace,
    serviceAccountAnnotations: account?.annotations,
    namespaceAnnotations: permits?.annotations,
  }
  const verdict = decidePod(facts, settings)
  if (verdict.reason !== 'role-not-permitted') return verdict
  const fresh = await cluster.namespace(namespace, { fresh: true })
  return decidePod({ ...facts, namespaceAnnotations: fresh?.annotations }, settings)
}
