import { decideNamespace } from '../admit/decide-namespace.ts'
import { nameOf, namespaceSchema } from '../admit/pod.ts'
import { denied, unchanged } from '../admit/verdict.ts'
import type { Decided } from './review-pod.ts'
import { firstProblem, type AdmissionRequest } from './review.ts'

/** From the review of a Namespace to its verdict; needs nothing but the review. */
export function reviewNamespace(request: AdmissionRequest): Decided {
  const subject = { name: request.name ?? '' }
  if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') {
    return { verdict: unchanged('operation-not-handled'), subject }
  }
  const namespace = namespaceSchema.safeParse(request.object)
  const before = namespaceSchema.safeParse(request.oldObject)
  if (!namespace.success) {
    const why = firstProblem(namespace.error)
    const verdict = denied('invalid-object', `the review holds no valid Namespace: ${why}`)
    return { verdict, subject }
  }
  const facts = { namespace: namespace.data, before: before.success ? before.data : undefined }
  return { verdict: decideNamespace(facts), subject: { name: nameOf(namespace.data) } }
}
