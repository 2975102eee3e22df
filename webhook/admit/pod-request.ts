import {
  AnnotationError,
  readAnnotations,
  type PodAnnotations,
  type ServiceAccountAnnotations,
} from '../../contract/annotations.ts'
import { exchanger } from '../../contract/exchangers.ts'
import {
  annotationsWithoutEffect,
  annotationsWithoutExchanger,
  resolveRequest,
} from '../../contract/injection-request.ts'
import { DEFAULT_ROLE_ARN, EXCHANGER_ANNOTATION } from '../../contract/names.ts'
import type { InjectionDefaults, InjectionRequest } from '../../contract/wanted.ts'
import type { PermittingNamespace } from './checks/permission-facts.ts'
import { nameOf, serviceAccountOf, type Pod } from './pod.ts'
import { denied, type Denied } from './verdict.ts'

type Annotations = Readonly<Record<string, string>>

interface PodOfNamespace extends PermittingNamespace {
  readonly pod: Pod
}

/** What Pod and ServiceAccount say of nocreds. */
export interface OwnAnnotations {
  readonly ofPod: PodAnnotations
  readonly ofAccount: ServiceAccountAnnotations
}

export function readOwn(
  { pod, namespace }: PodOfNamespace,
  serviceAccountAnnotations: Annotations,
): OwnAnnotations | Denied {
  return orDenied(() => ({
    ofPod: readAnnotations('Pod', `${namespace}/${nameOf(pod)}`, pod.metadata.annotations ?? {}),
    ofAccount: readAnnotations(
      'ServiceAccount',
      `${namespace}/${serviceAccountOf(pod)}`,
      serviceAccountAnnotations,
    ),
  }))
}

/** A target role, too, names a role: its author meant a first one. */
const NAMING_ROLES = ['role-arn', 'container-roles', 'target-role-arn'] as const

export function defaultRoleFor(
  { namespaceAnnotations }: PermittingNamespace,
  { ofPod, ofAccount }: OwnAnnotations,
): string | undefined {
  const role = namespaceAnnotations?.[DEFAULT_ROLE_ARN]
  if (role === undefined) return undefined
  const isNamed = NAMING_ROLES.some(
    (key) => ofPod[key] !== undefined || ofAccount[key] !== undefined,
  )
  return isNamed ? undefined : role
}

/** What a pod requests, and what of its annotations has no effect. */
export interface ParsedRequest {
  /** Undefined if nothing is requested. */
  readonly request: InjectionRequest | undefined
  /** Annotations that change nothing, because no certificate is requested. */
  readonly withoutEffect: readonly string[]
  /** Annotations that change nothing, because the driver serves the pod. */
  readonly withoutExchanger: readonly string[]
}

/** The Namespace's own choice counts before the flag; one that is not valid does not count. */
function defaultsIn(
  namespaceAnnotations: Annotations | undefined,
  settings: InjectionDefaults,
): InjectionDefaults {
  const ofNamespace = exchanger.parse(namespaceAnnotations?.[EXCHANGER_ANNOTATION] ?? '')
  return ofNamespace === undefined ? settings : { ...settings, exchanger: ofNamespace }
}

export function requestOf(
  { namespaceAnnotations }: PermittingNamespace,
  { ofPod, ofAccount }: OwnAnnotations,
  settings: InjectionDefaults,
): ParsedRequest | Denied {
  return orDenied(() => {
    const request = resolveRequest(ofPod, ofAccount, defaultsIn(namespaceAnnotations, settings))
    return {
      request,
      withoutEffect: annotationsWithoutEffect(ofPod, ofAccount),
      withoutExchanger: request
        ? annotationsWithoutExchanger(request.exchanger, ofPod, ofAccount)
        : [],
    }
  })
}

/** An invalid annotation denies. */
export function orDenied<Read>(read: () => Read): Read | Denied {
  try {
    return read()
  } catch (error) {
    if (error instanceof AnnotationError) return denied('invalid-annotation', error.message)
    throw error
  }
}
