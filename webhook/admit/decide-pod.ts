import {
  DEFAULT_ROLE_ARN,
  DEFAULT_SESSION_TAGS,
  MIRROR_POD_ANNOTATION,
  PREFIX,
} from '../../contract/names.ts'
import { resolveRole } from '../../contract/requested-roles.ts'
import type { InjectionDefaults, InjectionRequest } from '../../contract/wanted.ts'
import type { NameSettings } from './checks/deny-unpermitted-names.ts'
import { denyUnpermitted } from './checks/deny-unpermitted.ts'
import { denyUnservable } from './checks/deny-unservable.ts'
import type { PermittingNamespace } from './checks/permission-facts.ts'
import { denyReservedNames } from './checks/reserved-names.ts'
import { withoutFormerExchanger, type Converted } from './inject/former.ts'
import { inject, withoutMarks } from './inject/inject.ts'
import type { Injection, InjectionSettings } from './inject/injection.ts'
import { diff } from './json-patch.ts'
import { defaultRoleFor, orDenied, readOwn, requestOf, type OwnAnnotations } from './pod-request.ts'
import { serviceAccountOf, type Pod } from './pod.ts'
import { denied, unchanged, type Admitted, type Verdict } from './verdict.ts'
import { warningWithoutDefaultRole } from './warnings/default-role.ts'
import { peerWarnings } from './warnings/peers.ts'
import { conversionWarnings } from './warnings/repairs.ts'
import { warningsFor } from './warnings/warnings.ts'
import { warningWithoutEffect, warningWithoutExchanger } from './warnings/without-effect.ts'

/** The flags that a decision depends on. */
export interface Settings extends InjectionDefaults, InjectionSettings, NameSettings {}

type Annotations = Readonly<Record<string, string>>

/** All that the decision about a pod depends on. */
export interface PodFacts extends PermittingNamespace {
  readonly pod: Pod
  /** Undefined if the apiserver knows no such ServiceAccount. */
  readonly serviceAccountAnnotations: Annotations | undefined
}

/**
 * The checks that need only the pod; undefined if the ServiceAccount must be looked up.
 */
export function decideByPodAlone(pod: Pod): Verdict | undefined {
  const annotations = pod.metadata.annotations ?? {}
  if (Object.hasOwn(annotations, MIRROR_POD_ANNOTATION)) return unchanged('mirror-pod')
  if (annotations[`${PREFIX}inject`] === 'false') return withNothing(pod, 'opted-out')
  return undefined
}

/**
 * Decides about a pod. The checks run in this order; the first that denies decides:
 *
 * 1. the ServiceAccount exists
 * 2. the annotations of Pod and ServiceAccount are valid
 * 3. a role or a certificate is requested; if neither, the pod uses no reserved name
 * 4. the namespace permits the roles, delivery, session name and session tags, and the names of the certificate
 *    (deny-unpermitted.ts)
 * 5. the pod, without what a former exchanger needed (inject/former.ts), can be served (deny-unservable.ts)
 *
 * Annotations are validated even if nothing is requested: a misspelled `role-arn` must not pass as
 * "no role". A pod that names no role has the Namespace's default role if these checks admit it so, else none.
 */
export function decidePod(facts: PodFacts, settings: Settings): Verdict {
  const { pod, namespace, serviceAccountAnnotations } = facts
  if (serviceAccountAnnotations === undefined) {
    const message = `ServiceAccount ${namespace}/${serviceAccountOf(pod)} does not exist`
    return denied('service-account-not-found', message)
  }
  const read = readOwn(facts, serviceAccountAnnotations)
  if ('decision' in read) return read
  const defaultRole = defaultRoleFor(facts, read)
  if (defaultRole === undefined) return decideRead(facts, read, settings)
  const verdict = decideWithDefault(facts, read, { defaultRole, settings })
  if (verdict.decision !== 'denied') return verdict
  const without = decideRead(facts, read, settings)
  if (without.decision === 'denied') return without
  const warning = warningWithoutDefaultRole(defaultRole, verdict.message)
  return { ...without, warnings: [...without.warnings, warning] }
}

function decideWithDefault(
  facts: PodFacts,
  { ofPod, ofAccount }: OwnAnnotations,
  { defaultRole, settings }: { readonly defaultRole: string; readonly settings: Settings },
): Verdict {
  const role = orDenied(() => resolveRole(defaultRole, DEFAULT_ROLE_ARN, settings))
  if ('decision' in role) return role
  const own = { ofPod, ofAccount: { ...ofAccount, 'role-arn': role.arn } }
  return decideRead(facts, own, settings)
}

function decideRead(facts: PodFacts, own: OwnAnnotations, settings: Settings): Verdict {
  const { pod, namespace, serviceAccountAnnotations = {} } = facts
  const parsed = requestOf(facts, own, settings)
  if ('decision' in parsed) return parsed
  const verdict = decideRequest(facts, parsed.request, settings)
  if (verdict.decision === 'denied') return verdict
  const accountName = `${namespace}/${serviceAccountOf(pod)}`
  const more = [
    ...(parsed.withoutEffect.length === 0 ? [] : [warningWithoutEffect(parsed.withoutEffect)]),
    ...(parsed.withoutExchanger.length === 0
      ? []
      : [warningWithoutExchanger(parsed.withoutExchanger)]),
    ...peerWarnings(pod, serviceAccountAnnotations, accountName),
  ]
  return more.length === 0 ? verdict : { ...verdict, warnings: [...verdict.warnings, ...more] }
}

function decideRequest(
  facts: PodFacts,
  request: InjectionRequest | undefined,
  settings: Settings,
): Verdict {
  const { pod, namespace, namespaceAnnotations } = facts
  if (request === undefined) return withNothing(pod, 'no-role')
  const injection: Injection = {
    request,
    namespace,
    serviceAccount: serviceAccountOf(pod),
    exchangerImage: settings.exchangerImage,
    exchangerImages: settings.exchangerImages,
    exchangerImagePullPolicy: settings.exchangerImagePullPolicy,
    exchangerUser: settings.exchangerUser,
    meshProxies: settings.meshProxies,
    stsEndpoint: settings.stsEndpoint,
    stsProxy: settings.stsProxy,
    stsNoProxy: settings.stsNoProxy,
    stsCa: settings.stsCa,
    clusterArn: settings.clusterArn,
    clusterName: settings.clusterName,
    hasDefaultTags: namespaceAnnotations?.[DEFAULT_SESSION_TAGS] !== 'false',
    certificateSource: settings.certificateSource,
    trustBundle: settings.trustBundle,
    authorityUrl: settings.authorityUrl,
  }
  const converted = withoutFormerExchanger(pod, injection)
  return (
    denyUnpermitted(facts, request, settings) ??
    denyUnservable(converted.pod, injection) ??
    admitInjected(pod, converted, injection)
  )
}

function admitInjected(
  pod: Pod,
  { pod: kept, removed }: Converted,
  injection: Injection,
): Admitted {
  const patch = diff(pod, inject(kept, injection))
  const warnings = [...conversionWarnings(removed, injection), ...warningsFor(kept, injection)]
  const role = injection.request.credentials?.role.arn
  const admitted = { patch, warnings, ...(role === undefined ? {} : { role }) }
  return patch.length === 0
    ? { decision: 'unchanged', reason: 'already-injected', ...admitted }
    : { decision: 'mutated', reason: 'injected', ...admitted }
}

/** A pod that gets nothing uses no reserved name, and has no annotation of injected roles. */
function withNothing(pod: Pod, reason: 'opted-out' | 'no-role'): Verdict {
  return denyReservedNames(pod, reason) ?? withoutForgedMark(pod, reason)
}

function withoutForgedMark(pod: Pod, reason: 'opted-out' | 'no-role'): Admitted {
  const kept = withoutMarks(pod.metadata.annotations)
  if (kept === pod.metadata.annotations) return unchanged(reason)
  const cleaned = { ...pod, metadata: { ...pod.metadata, annotations: kept } }
  return { decision: 'mutated', reason, patch: diff(pod, cleaned), warnings: [] }
}
