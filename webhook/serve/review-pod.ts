import { reservedNameIn } from '../admit/checks/reserved-names.ts'
import { decideByPodAlone, decidePod, type PodFacts, type Settings } from '../admit/decide-pod.ts'
import { checkPod, nameOf, serviceAccountOf, type Pod } from '../admit/pod.ts'
import { denied, unchanged, type Reason, type Verdict } from '../admit/verdict.ts'
import type { Annotated, ClusterReader } from '../cluster/types.ts'
import { firstProblem, type AdmissionRequest } from './review.ts'

/** A verdict and its subject: one line of the decision log. */
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
 * From the review of a Pod to its verdict: reads what the decision depends on, and decides. A promise
 * only if the apiserver must be called; it rejects with a NocredsError if that is not possible.
 *
 * The cache may lag behind what was applied a moment ago, so the ServiceAccount is read live, and a denial for
 * lack of permission is checked once more against the apiserver before it is returned.
 */
export function reviewPod(
  request: AdmissionRequest,
  cluster: ClusterReader,
  settings: Settings,
): Decided | Promise<Decided> {
  const parsed = checkPod(request.object)
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
  const verdict = decideByPodAlone(pod) ?? decideWithCluster(pod, namespace, { cluster, settings })
  if (verdict instanceof Promise)
    return verdict.then((resolved) => ({ verdict: resolved, subject }))
  return { verdict, subject }
}

const FOR_LACK_OF_PERMISSION: readonly Reason[] = [
  'role-not-permitted',
  'delivery-not-permitted',
  'session-name-not-permitted',
  'session-tag-not-permitted',
  'name-not-permitted',
]

interface Lookup {
  readonly cluster: ClusterReader
  readonly settings: Settings
}

function decideWithCluster(
  pod: Pod,
  namespace: string,
  { cluster, settings }: Lookup,
): Verdict | Promise<Verdict> {
  const factsOf = (account?: Annotated, permits?: Annotated): PodFacts => ({
    pod,
    namespace,
    serviceAccountAnnotations: account?.annotations,
    namespaceAnnotations: permits?.annotations,
  })
  const decide = (account?: Annotated, permits?: Annotated): Verdict | Promise<Verdict> => {
    const facts = factsOf(account, permits)
    const verdict = decidePod(facts, settings)
    return FOR_LACK_OF_PERMISSION.includes(verdict.reason)
      ? decideWithFreshNamespace(facts, { cluster, settings })
      : verdict
  }
  const permits = cluster.namespace(namespace)
  if (!(permits instanceof Promise) && reservedNameIn(pod) !== undefined) {
    // Most pods are reviewed twice. The second time there is nothing to do if the cached ServiceAccount explains what was
    // injected; otherwise, as the first time, the apiserver is called.
    const remembered = cluster.rememberedAccount?.(namespace, serviceAccountOf(pod))
    const verdict = remembered && decidePod(factsOf(remembered, permits), settings)
    if (verdict?.reason === 'already-injected') return verdict
  }
  const account = cluster.serviceAccount(namespace, serviceAccountOf(pod))
  if (account instanceof Promise || permits instanceof Promise) {
    return Promise.all([account, permits]).then((looked) => decide(...looked))
  }
  return decide(account, permits)
}

async function decideWithFreshNamespace(
  facts: PodFacts,
  { cluster, settings }: Lookup,
): Promise<Verdict> {
  const fresh = await cluster.namespace(facts.namespace, { fresh: true })
  return decidePod({ ...facts, namespaceAnnotations: fresh?.annotations }, settings)
}
