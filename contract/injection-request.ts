import {
  AnnotationError,
  quoted,
  type PodAnnotations,
  type ServiceAccountAnnotations,
} from './annotations.ts'
import { AUTHORITY, DEFAULT_CERTIFICATE_SECONDS } from './certificates.ts'
import { excessOf, exchangerResources, type ExchangerResources } from './exchanger-resources.ts'
import { EXCHANGERS, unservedByDriver, type Exchanger } from './exchangers.ts'
import { EXCHANGER_ANNOTATION, EXCHANGER_RESOURCES, PREFIX } from './names.ts'
import {
  refuseTargetAlone,
  refuseWithContainers,
  refuseWithWebIdentity,
  rolesOf,
  targetOf,
} from './requested-roles.ts'
import { defaultRegionOf, partitionOf, type RoleArn } from './role-arn.ts'
import { DEFAULT_SESSION_NAME } from './session-name.ts'
import type {
  InjectionDefaults,
  InjectionRequest,
  WantedCertificate,
  WantedCredentials,
} from './wanted.ts'

/**
 * Resolves what a pod requests; undefined if it requests neither role nor certificate.
 *
 * | value                | precedence                         |
 * |----------------------|------------------------------------|
 * | role                 | Pod > ServiceAccount > Namespace   |
 * | roles of containers  | Pod > ServiceAccount               |
 * | delivery             | Pod > ServiceAccount > flag        |
 * | session duration     | Pod > ServiceAccount > 3600        |
 * | session name         | Pod > ServiceAccount > ns.sa       |
 * | audience             | Pod > ServiceAccount > flag        |
 * | token expiration     | Pod > ServiceAccount > 3600        |
 * | region               | Pod > ServiceAccount > flag (in its own partition, else that of the role) > none |
 * | target role          | Pod > ServiceAccount > none        |
 * | external ID          | Pod > ServiceAccount > none        |
 * | session tags         | Pod > ServiceAccount > none        |
 * | session policy, ARNs | Pod > ServiceAccount > none        |
 * | certificate          | Pod > ServiceAccount > "false"     |
 * | certificate duration | Pod > ServiceAccount > 3600        |
 * | certificate names    | Pod > ServiceAccount > none        |
 * | exchanger            | Pod > ServiceAccount > Namespace > flag |
 * | skipped containers   | Pod                                |
 * | sidecar's resources  | Pod > ServiceAccount, above flag   |
 *
 * @throws AnnotationError if the sidecar's resources contradict those of the flag, if Pod or ServiceAccount requests
 *   the driver for what it does not do, or if annotations of the second role contradict each other
 */
export function resolveRequest(
  pod: PodAnnotations,
  serviceAccount: ServiceAccountAnnotations,
  defaults: InjectionDefaults,
): InjectionRequest | undefined {
  const either = { ...serviceAccount, ...pod }
  const credentials = credentialsOf(either, defaults)
  const certificate = certificateOf(either)
  if (credentials === undefined && certificate === undefined) return undefined
  return {
    credentials,
    certificate,
    exchanger: exchangerOf(either, { credentials, certificate }, defaults),
    skipContainers: either['skip-containers'] ?? [],
    exchangerResources: resourcesOf(either, defaults),
  }
}

/**
 * A pod that must have the driver and cannot is refused; one for which others chose the driver, its Namespace or the
 * flag, has the sidecar then.
 */
function exchangerOf(
  either: ServiceAccountAnnotations,
  { credentials, certificate }: Pick<InjectionRequest, 'credentials' | 'certificate'>,
  defaults: InjectionDefaults,
): Exchanger {
  const wanted = either.exchanger ?? defaults.exchanger
  if (wanted !== 'driver') return wanted
  const asksAuthority = certificate !== undefined && defaults.certificateSource === 'authority'
  const audiences = [
    ...(credentials === undefined ? [] : [credentials.audience]),
    ...(asksAuthority ? [AUTHORITY.audience] : []),
  ]
  const needs = { delivery: credentials?.delivery, audiences }
  const unserved = unservedByDriver(needs, defaults.driverAudiences)
  if (unserved === undefined) return wanted
  const isOfFlag = unserved.what === 'delivery' && either.delivery === undefined
  if (either.exchanger === undefined || isOfFlag) return 'sidecar'
  const { what, value, allowed } = unserved
  const instead =
    what === 'delivery'
      ? `the driver serves ${allowed.join(', ')} only`
      : `the driver gets tokens for ${allowed.join(', ')} only (driverAudiences of nocreds-settings)`
  throw new AnnotationError(
    'ERR_ANNOTATION_CONFLICT',
    `annotation ${EXCHANGER_ANNOTATION} is driver, but ${what} is ${quoted(value)}: ${instead}; set ${EXCHANGER_ANNOTATION}: sidecar, or use another ${what}`,
  )
}

function resourcesOf(
  either: ServiceAccountAnnotations,
  defaults: InjectionDefaults,
): ExchangerResources {
  const annotated = either['exchanger-resources']
  if (annotated === undefined) return defaults.exchangerResources
  const resources = { ...defaults.exchangerResources, ...annotated }
  const excess = excessOf(resources)
  if (excess === undefined) return resources
  const [request, limit] = [`requests.${excess}`, `limits.${excess}`] as const
  const valueOf = (name: string): string => resources[name as keyof ExchangerResources] ?? ''
  throw new AnnotationError(
    'ERR_ANNOTATION_OUT_OF_BOUNDS',
    `annotation ${EXCHANGER_RESOURCES} is ${quoted(exchangerResources.format(annotated))}; combined with --exchanger-resources of the webhook, ${request}=${valueOf(request)} is above ${limit}=${valueOf(limit)}; name both in the annotation`,
  )
}

function credentialsOf(
  either: ServiceAccountAnnotations,
  defaults: InjectionDefaults,
): WantedCredentials | undefined {
  const named = rolesOf(either, defaults)
  if (named === undefined) {
    refuseTargetAlone(either)
    return undefined
  }
  const delivery = either.delivery ?? defaults.delivery
  const { role, containers } = named
  refuseWithWebIdentity(either, delivery)
  refuseWithContainers(either)
  return {
    role,
    containers,
    delivery,
    sessionDurationSeconds: either['session-duration'] ?? 3600,
    sessionName: either['session-name'] ?? DEFAULT_SESSION_NAME,
    audience: either.audience ?? defaults.audience,
    tokenExpirationSeconds: either['token-expiration'] ?? 3600,
    region: either.region ?? regionFor(role, defaults.region),
    target: targetOf(either, role),
    sessionPolicy: either['session-policy'],
    sessionPolicyArns: either['session-policy-arns'],
  }
}

/** The flag applies to roles of its own partition; those of another partition get that partition's default. */
function regionFor(role: RoleArn, ofFlag: string | undefined): string | undefined {
  if (ofFlag === undefined || partitionOf(ofFlag) === role.partition) return ofFlag
  return defaultRegionOf(role)
}

function certificateOf(either: ServiceAccountAnnotations): WantedCertificate | undefined {
  if (either.certificate !== 'true') return undefined
  return {
    durationSeconds: either['certificate-duration'] ?? DEFAULT_CERTIFICATE_SECONDS,
    dnsNames: either['certificate-dns-names'] ?? [],
  }
}

const OF_CERTIFICATES = ['certificate-duration', 'certificate-dns-names'] as const

/**
 * Annotations that configure a certificate which is not requested: most likely `certificate: "true"` was
 * forgotten. With `certificate: "false"` it is intended.
 */
export function annotationsWithoutEffect(
  pod: PodAnnotations,
  serviceAccount: ServiceAccountAnnotations,
): readonly string[] {
  if ((pod.certificate ?? serviceAccount.certificate) !== undefined) return []
  return OF_CERTIFICATES.filter(
    (key) => pod[key] !== undefined || serviceAccount[key] !== undefined,
  ).map((key) => PREFIX + key)
}

/** Annotations that configure something which the exchanger of the pod does not have. */
export function annotationsWithoutExchanger(
  used: Exchanger,
  pod: PodAnnotations,
  serviceAccount: ServiceAccountAnnotations,
): readonly string[] {
  return EXCHANGERS[used].withoutEffect
    .filter((key) => pod[key] !== undefined || serviceAccount[key] !== undefined)
    .map((key) => PREFIX + key)
}
