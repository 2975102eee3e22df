import { PERMITTED_SESSION_TAGS, PREFIX } from '../../../contract/names.ts'
import { formatTag } from '../../../contract/session-tags.ts'
import type { InjectionRequest } from '../../../contract/wanted.ts'
import { permission } from '../../../shared/server/permission.ts'
import { admittedTags } from '../inject/tags.ts'
import { serviceAccountOf } from '../pod.ts'
import { denied, type Denied } from '../verdict.ts'
import { CHANGED_BY, describeExpression, quoted } from '../wording.ts'
import type { PermissionFacts } from './permission-facts.ts'

/**
 * Permission policies of AWS decide by tags, so one team's sessions must not have another team's. The name of the pod is
 * its author's choice and often not known yet: the expression sees `{pod}`.
 */
export function denyUnpermittedTags(
  { pod, namespace, namespaceAnnotations }: PermissionFacts,
  { credentials }: InjectionRequest,
): Denied | undefined {
  const target = credentials?.target
  if (target === undefined || target.tags.length === 0) return undefined
  const expression = namespaceAnnotations?.[PERMITTED_SESSION_TAGS]
  const permits = permission(expression)
  const tags = admittedTags(target, { namespace, serviceAccount: serviceAccountOf(pod) }) ?? []
  const refused = tags
    .map(formatTag)
    .find((tag) => !permits.valid || permits.matchesEmptyText || !permits.permits(tag))
  if (refused === undefined) return undefined
  const why = permits.valid && permits.matchesEmptyText ? MATCHES_NOTHING : ''
  return denied(
    'session-tag-not-permitted',
    `namespace "${namespace}" does not permit session tag ${quoted(refused)} of annotation ${PREFIX}session-tags: ${PERMITTED_SESSION_TAGS} is ${describeExpression(expression, permits)}${why}; ${CHANGED_BY}`,
    credentials?.role.arn,
  )
}

const MATCHES_NOTHING =
  ', which permits nothing because it matches the empty text (write .+ for every session tag)'
