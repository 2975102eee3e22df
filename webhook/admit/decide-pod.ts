import {
  AnnotationError,
  readAnnotations,
  resolveRequest,
  type InjectionDefaults,
  type InjectionRequest,
} from '../../contract/annotations.ts'
import {
  INJECTED_ROLE,
  MIRROR_POD_ANNOTATION,
  PERMITTED_ROLES,
  PREFIX,
} from '../../contract/names.ts'
import { servable } from './servable.ts'
import { warningsFor } from './warnings.ts'
import { inject } from './inject.ts'
import { diff } from './json-patch.ts'
import type { Injection } from './ours.ts'
import { permission } from '../../service/permission.ts'
import { nameOf, type Pod } from './pod.ts'
import { denied, unchanged, type Admitted, type Denied, type Verdict } from './verdict.ts'

/** The flags that a decision depends on. */
export interface Settings extends InjectionDefaults {
  readonly exchangerImage: string
  readonly stsEndpoint: string | undefined
}

type Annotations = Readonly<Record<string, string>>

/** All that the decision about a pod depends on. */
export interface PodFacts {
  readonly pod: Pod
  readonly namespace: string
  /** Undefined where the apiserver knows no such ServiceAccount. */
  readonly serviceAccountAnnotations: Annotations | undefined
  /** Undefined where the apiserver knows no such Namespace. */
  readonly namespaceAnnotations: Annotations | undefined
}

/** Name of the ServiceAccount that the pod runs as. Source: Kubernetes, "Service Accounts". */
export function serviceAccountOf(pod: Pod): string {
  return pod.spec.serviceAccountName ? pod.spec.serviceAccountName : 'default'
}

/**
 * The checks that need nothing but the pod: undefined where the ServiceAccount must be looked up.
 */
export function decideByPodAlone(pod: Pod): Verdict | undefined {
  const annotations = pod.metadata.annotations ?? {}
  if (Object.hasOwn(annotations, MIRROR_POD_ANNOTATION)) return unchanged('mirror-pod')
  if (annotations[`${PREFIX}inject`] === 'false') return withoutForgedMark(pod, 'opted-out')
  return undefined
}

/**
 * Decides about a pod. The checks run in this order; the first that has something to say ends it:
 *
 * 1. the ServiceAccount exists
 * 2. the annotations of Pod and ServiceAccount are valid
 * 3. a role is named
 * 4. the namespace permits it
 * 5. the pod can be served (servable.ts)
 *
 * Annotations are validated even where no role is named: a misspelt `role-arn` must not pass as
 * "no role".
 */
export function decidePod(facts: PodFacts, settings: Settings): Verdict {
  const { pod, namespace, serviceAccountAnnotations } = facts
  const serviceAccount = serviceAccountOf(pod)
  if (serviceAccountAnnotations === undefined) {
    const message = `ServiceAccount ${namespace}/${serviceAccount} does not exist`
    return denied('service-account-not-found', message)
  }
  const request = readRequest(facts, serviceAccountAnnotations, settings)
  if (request === undefined) return withoutForgedMark(pod, 'no-role')
  if ('decision' in request) return request

  const { exchangerImage, stsEndpoint } = settings
  const injection = { request, namespace, serviceAccount, exchangerImage, stsEndpoint }
  return permitted(facts, request) ?? servable(pod, injection) ?? injected(pod, injection)
}

function readRequest(
  { pod, namespace }: PodFacts,
  serviceAccountAnnotations: Annotations,
  settings: Settings,
): InjectionRequest | Denied | undefined {
  try {
    return resolveRequest(
      readAnnotations('Pod', `${namespace}/${nameOf(pod)}`, pod.metadata.annotations ?? {}),
      readAnnotations(
        'ServiceAccount',
        `${namespace}/${serviceAccountOf(pod)}`,
        serviceAccountAnnotations,
      ),
      settings,
    )
  } catch (error) {
    if (error instanceof AnnotationError) return denied('invalid-annotation', error.message)
    throw error
  }
}

function permitted(facts: PodFacts, { role }: InjectionRequest): Denied | undefined {
  const expression = facts.namespaceAnnotations?.[PERMITTED_ROLES]
  const permits = permission(expression)
  if (permits.valid && permits.permits(role.arn)) return undefined
  const why = permits.valid ? '' : ` (not a valid RE2 expression: ${permits.why})`
  const is = expression === undefined ? 'not set' : JSON.stringify(expression)
  return denied(
    'role-not-permitted',
    `namespace "${facts.namespace}" does not permit role ${role.arn}: ${PERMITTED_ROLES} is ${is}${why}`,
    role.arn,
  )
}

function injected(pod: Pod, injection: Injection): Admitted {
  const patch = diff(pod, inject(pod, injection))
  const role = injection.request.role.arn
  const warnings = warningsFor(pod, injection)
  return patch.length === 0
    ? { decision: 'unchanged', reason: 'already-injected', patch, warnings, role }
    : { decision: 'mutated', reason: 'injected', patch, warnings, role }
}

/** Only the webhook writes the mark of the injected role; one that a user wrote is taken away. */
function withoutForgedMark(pod: Pod, reason: 'opted-out' | 'no-role'): Admitted {
  const annotations = pod.metadata.annotations ?? {}
  if (!Object.hasOwn(annotations, INJECTED_ROLE)) return unchanged(reason)
  const kept = Object.fromEntries(
    Object.entries(annotations).filter(([key]) => key !== INJECTED_ROLE),
  )
  const cleaned = { ...pod, metadata: { ...pod.metadata, annotations: kept } }
  return { decision: 'mutated', reason, patch: diff(pod, cleaned), warnings: [] }
}
