import {
  AnnotationError,
  quoted,
  type PodAnnotations,
  type ServiceAccountAnnotations,
} from './annotations.ts'
import type { CertificateSource } from './certificate-source.ts'
import { AUTHORITY, DEFAULT_CERTIFICATE_SECONDS } from './certificates.ts'
import { appHoldsToken, DEFAULT_PERMITTED_DELIVERIES, type Delivery } from './delivery.ts'
import { excessOf, exchangerResources, type ExchangerResources } from './exchanger-resources.ts'
import { EXCHANGERS, unservedByDriver, type Exchanger } from './exchangers.ts'
import {
  EXCHANGER_ANNOTATION,
  EXCHANGER_RESOURCES,
  PREFIX,
  ROLE_ARN,
  TARGET_ROLE_ARN,
} from './names.ts'
import { defaultRegionOf, parseRoleArn, partitionOf, type RoleArn } from './role-arn.ts'
import { DEFAULT_SESSION_NAME } from './session-name.ts'
import type { SessionTag } from './session-tags.ts'
import { MAX_CHAINED_SESSION_SECONDS } from './values.ts'

/** The AWS credentials that one pod is to get. */
export interface WantedCredentials {
  readonly role: RoleArn
  readonly delivery: Delivery
  readonly sessionDurationSeconds: number
  /** A template, see session-name.ts. */
  readonly sessionName: string
  readonly audience: string
  readonly tokenExpirationSeconds: number
  /** Undefined if neither annotation nor flag names one. */
  readonly region: string | undefined
  /** The role that is assumed with the credentials of `role`, and is that of the app; undefined: `role` is. */
  readonly target: WantedTarget | undefined
  /** JSON that narrows the session of the app. */
  readonly sessionPolicy: string | undefined
  /** ARNs of policies that do. */
  readonly sessionPolicyArns: readonly string[] | undefined
}

/** A second role, assumed with the credentials of the first one. */
export interface WantedTarget {
  readonly role: RoleArn
  readonly externalId: string | undefined
  /** Besides those of nocreds. */
  readonly tags: readonly SessionTag[]
}

/** The certificate that one pod is to get. */
export interface WantedCertificate {
  /** From notBefore to notAfter. */
  readonly durationSeconds: number
  /** Names beside the identity; may be empty. */
  readonly dnsNames: readonly string[]
}

/** What one pod is to get: credentials, a certificate, or both. */
export interface InjectionRequest {
  readonly credentials: WantedCredentials | undefined
  readonly certificate: WantedCertificate | undefined
  /** Exchanges the token, and asks the authority for the certificate. */
  readonly exchanger: Exchanger
  /** Names of containers that get nothing. */
  readonly skipContainers: readonly string[]
  /** Requests and limits of the sidecar, unless those of the pod itself decide. */
  readonly exchangerResources: ExchangerResources
}

/** The webhook's flags that apply if no annotation does. */
export interface InjectionDefaults {
  readonly audience: string
  readonly delivery: Delivery
  readonly region: string | undefined
  readonly exchanger: Exchanger
  /** Audiences of the tokens that the CSIDriver requests. */
  readonly driverAudiences: readonly string[]
  readonly certificateSource: CertificateSource
  readonly exchangerResources: ExchangerResources
}

/**
 * Resolves what a pod requests; undefined if it requests neither role nor certificate.
 *
 * | value                | precedence                         |
 * |----------------------|------------------------------------|
 * | role                 | Pod > ServiceAccount               |
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
  const role = either['role-arn'] === undefined ? undefined : parseRoleArn(either['role-arn'])
  if (role === undefined) {
    refuseTargetAlone(either)
    return undefined
  }
  const delivery = either.delivery ?? defaults.delivery
  refuseWithWebIdentity(either, delivery)
  return {
    role,
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

const conflict = (message: string): AnnotationError =>
  new AnnotationError('ERR_ANNOTATION_CONFLICT', message)

/** Otherwise an app that was meant to have a role would start without any. */
function refuseTargetAlone(either: ServiceAccountAnnotations): void {
  if (either['target-role-arn'] === undefined) return
  throw conflict(
    `annotation ${TARGET_ROLE_ARN} is set without ${ROLE_ARN}, with whose credentials the target role is assumed; add that annotation, or remove ${TARGET_ROLE_ARN}`,
  )
}

/** Annotations that only an exchanger acts on: with web-identity the app calls STS itself. */
const FOR_EXCHANGERS = [
  'target-role-arn',
  'external-id',
  'session-tags',
  'session-policy',
  'session-policy-arns',
] as const

function refuseWithWebIdentity(either: ServiceAccountAnnotations, delivery: Delivery): void {
  if (!appHoldsToken(delivery)) return
  const key = FOR_EXCHANGERS.find((one) => either[one] !== undefined)
  if (key === undefined) return
  throw conflict(
    `annotation ${PREFIX}${key} is set, but delivery is ${delivery}, with which the app calls STS itself; remove the annotation, or set ${PREFIX}delivery to one of ${DEFAULT_PERMITTED_DELIVERIES.join(', ')}`,
  )
}

/** Annotations that say something of the second role. */
const OF_TARGET = ['external-id', 'session-tags'] as const

function targetOf(either: ServiceAccountAnnotations, first: RoleArn): WantedTarget | undefined {
  const arn = either['target-role-arn']
  const role = arn === undefined ? undefined : parseRoleArn(arn)
  if (role === undefined) {
    const key = OF_TARGET.find((one) => either[one] !== undefined)
    if (key === undefined) return undefined
    throw conflict(
      `annotation ${PREFIX}${key} is set without ${PREFIX}target-role-arn, to which alone it applies; add that annotation, or remove ${PREFIX}${key}`,
    )
  }
  const seconds = either['session-duration'] ?? 0
  if (seconds > MAX_CHAINED_SESSION_SECONDS) {
    throw conflict(
      `annotation ${PREFIX}session-duration is ${seconds}, but with ${PREFIX}target-role-arn AWS allows at most ${MAX_CHAINED_SESSION_SECONDS} seconds; set it to ${MAX_CHAINED_SESSION_SECONDS} or less`,
    )
  }
  if (role.partition !== first.partition) {
    throw conflict(
      `annotation ${PREFIX}target-role-arn is ${quoted(role.arn)} of partition ${role.partition}, but the first role, ${first.arn}, is of partition ${first.partition}; both must be of one partition`,
    )
  }
  return { role, externalId: either['external-id'], tags: either['session-tags'] ?? [] }
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
