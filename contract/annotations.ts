import { NocredsError } from '../shared/base/errors.ts'
import type { CertificateSource } from './certificate-source.ts'
import { AUTHORITY, DEFAULT_CERTIFICATE_SECONDS } from './certificates.ts'
import { deliveries, delivery, type Delivery } from './delivery.ts'
import { excessOf, exchangerResources, type ExchangerResources } from './exchanger-resources.ts'
import { exchanger, EXCHANGERS, unservedByDriver, type Exchanger } from './exchangers.ts'
import { EXCHANGER_ANNOTATION, EXCHANGER_RESOURCES, PREFIX } from './names.ts'
import { defaultRegionOf, parseRoleArn, partitionOf, type RoleArn } from './role-arn.ts'
import { DEFAULT_SESSION_NAME } from './session-name.ts'
import * as values from './values.ts'
import type { ValueKind } from './values.ts'

const anyText: ValueKind<string> = {
  allowed: 'any text',
  parse: (text) => text,
  format: (text) => text,
}

const containerList: ValueKind<readonly string[]> = {
  allowed: 'container names separated by commas',
  parse: values.partsOf,
  format: (names) => names.join(','),
}

const ON_SERVICE_ACCOUNT = {
  'role-arn': values.roleArn,
  delivery,
  'session-duration': values.sessionDurationSeconds,
  'session-name': values.sessionName,
  audience: values.audience,
  'token-expiration': values.tokenExpirationSeconds,
  region: values.region,
  certificate: values.flag,
  'certificate-duration': values.certificateDurationSeconds,
  'certificate-dns-names': values.dnsNames,
  exchanger,
  'exchanger-resources': exchangerResources,
}

/** Every annotation of nocreds: on which object it stands, and the kind of its value. */
export const ANNOTATIONS = {
  Namespace: {
    'permitted-roles': anyText,
    'permitted-dns-names': anyText,
    'permitted-deliveries': deliveries,
    'permitted-session-names': anyText,
    exchanger,
  },
  ServiceAccount: ON_SERVICE_ACCOUNT,
  Pod: {
    ...ON_SERVICE_ACCOUNT,
    inject: values.flag,
    'skip-containers': containerList,
    'injected-role': anyText,
  },
} as const

export type AnnotatedKind = keyof typeof ANNOTATIONS

type ReadOf<Table> = {
  readonly [Key in keyof Table]?: Table[Key] extends ValueKind<infer Value> ? Value : never
}

export type ServiceAccountAnnotations = ReadOf<(typeof ANNOTATIONS)['ServiceAccount']>
export type PodAnnotations = ReadOf<(typeof ANNOTATIONS)['Pod']>

/**
 * An annotation under the prefix of nocreds that is unknown, out of bounds or in conflict with another one; the message
 * says what is allowed.
 */
export class AnnotationError extends NocredsError<
  'ERR_ANNOTATION_UNKNOWN' | 'ERR_ANNOTATION_OUT_OF_BOUNDS' | 'ERR_ANNOTATION_CONFLICT'
> {}

/** The value in quotes, cut if long, so that a hostile one cannot fill the event log. */
function quoted(value: string): string {
  return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}…` : value)
}

/**
 * Reads the annotations under the prefix of nocreds and ignores all others.
 *
 * @param name how messages call the object, such as `team-a/app`
 * @throws AnnotationError for an unknown key or a value out of bounds
 */
export function readAnnotations<Kind extends AnnotatedKind>(
  kind: Kind,
  name: string,
  annotations: Readonly<Record<string, string>>,
): ReadOf<(typeof ANNOTATIONS)[Kind]> {
  const table: Readonly<Record<string, ValueKind<unknown>>> = ANNOTATIONS[kind]
  const read: Record<string, unknown> = {}
  for (const key of Object.keys(annotations)) {
    if (!key.startsWith(PREFIX)) continue
    const shortKey = key.slice(PREFIX.length)
    const valueKind = Object.hasOwn(table, shortKey) ? table[shortKey] : undefined
    if (valueKind === undefined) {
      const known = Object.keys(table).map((one) => PREFIX + one)
      throw new AnnotationError(
        'ERR_ANNOTATION_UNKNOWN',
        `${kind} ${name}: unknown annotation ${key}; allowed on a ${kind}: ${known.join(', ')}`,
      )
    }
    const text = annotations[key] ?? ''
    const value = valueKind.parse(text)
    if (value === undefined) {
      throw new AnnotationError(
        'ERR_ANNOTATION_OUT_OF_BOUNDS',
        `${kind} ${name}: annotation ${key} is ${quoted(text)}; allowed: ${valueKind.allowed}`,
      )
    }
    read[shortKey] = value
  }
  return read as ReadOf<(typeof ANNOTATIONS)[Kind]>
}

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
 * | certificate          | Pod > ServiceAccount > "false"     |
 * | certificate duration | Pod > ServiceAccount > 3600        |
 * | certificate names    | Pod > ServiceAccount > none        |
 * | exchanger            | Pod > ServiceAccount > Namespace > flag |
 * | skipped containers   | Pod                                |
 * | sidecar's resources  | Pod > ServiceAccount, above flag   |
 *
 * @throws AnnotationError if the sidecar's resources contradict those of the flag, or if Pod or ServiceAccount requests
 *   the driver for what it does not do
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
  if (role === undefined) return undefined
  return {
    role,
    delivery: either.delivery ?? defaults.delivery,
    sessionDurationSeconds: either['session-duration'] ?? 3600,
    sessionName: either['session-name'] ?? DEFAULT_SESSION_NAME,
    audience: either.audience ?? defaults.audience,
    tokenExpirationSeconds: either['token-expiration'] ?? 3600,
    region: either.region ?? regionFor(role, defaults.region),
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
