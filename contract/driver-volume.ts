import { NocredsError } from '../shared/base/errors.ts'
import { conflictOf } from './container-roles.ts'
import { CSI_DRIVER, SECRETS } from './names.ts'
import { policyArns, sessionPolicy } from './session-policy.ts'
import { sessionTags, type SessionTag } from './session-tags.ts'
import * as values from './values.ts'
import type { ValueKind } from './values.ts'

/** The volume by which a pod asks the driver of its node; the driver puts nothing into it. */
export const DRIVER_VOLUME = {
  name: 'nocreds-driver',
  driver: CSI_DRIVER,
  mountPath: `${SECRETS}/driver`,
} as const

/** The AWS credentials that a pod asks the driver for. */
export interface DriverCredentials {
  readonly roleArn: string
  readonly sessionDurationSeconds: number
  /** A template, see session-name.ts. */
  readonly sessionName: string
  readonly audience: string
  readonly region: string | undefined
  /** Roles of the slots from 1 on, see container-roles.ts; `roleArn` is that of slot 0. */
  readonly containerRoleArns: readonly string[] | undefined
  readonly targetRoleArn: string | undefined
  readonly externalId: string | undefined
  /** Of the placeholders only `{pod}` may be left. */
  readonly sessionTags: readonly SessionTag[] | undefined
  /** Whether the session of the target has the tags of nocreds, too; undefined without a target. */
  readonly defaultSessionTags: 'true' | 'false' | undefined
  readonly sessionPolicy: string | undefined
  readonly sessionPolicyArns: readonly string[] | undefined
}

/** The certificate that a pod asks the driver for. */
export interface DriverCertificate {
  readonly durationSeconds: number
  readonly dnsNames: readonly string[]
}

/** What one volume asks for: credentials, a certificate, or both. */
export interface DriverRequest {
  readonly credentials: DriverCredentials | undefined
  readonly certificate: DriverCertificate | undefined
}

interface Attribute<T> {
  readonly key: string
  readonly kind: ValueKind<Exclude<T, undefined>>
  readonly optional?: undefined extends T ? true : never
}

/** A request as attributes of the volume, one row each; both directions are derived from it. */
type AttributeTable<T> = { readonly [Key in keyof T]-?: Attribute<T[Key]> }

/** The keys are those of the annotations. */
const CREDENTIALS: AttributeTable<DriverCredentials> = {
  roleArn: { key: 'role-arn', kind: values.roleArn },
  sessionDurationSeconds: { key: 'session-duration', kind: values.sessionDurationSeconds },
  sessionName: { key: 'session-name', kind: values.sessionName },
  audience: { key: 'audience', kind: values.audience },
  region: { key: 'region', kind: values.region, optional: true },
  containerRoleArns: { key: 'container-role-arns', kind: values.roleArns, optional: true },
  targetRoleArn: { key: 'target-role-arn', kind: values.roleArn, optional: true },
  externalId: { key: 'external-id', kind: values.externalId, optional: true },
  sessionTags: { key: 'session-tags', kind: sessionTags, optional: true },
  defaultSessionTags: { key: 'default-session-tags', kind: values.flag, optional: true },
  sessionPolicy: { key: 'session-policy', kind: sessionPolicy, optional: true },
  sessionPolicyArns: { key: 'session-policy-arns', kind: policyArns, optional: true },
}

const CERTIFICATE: AttributeTable<DriverCertificate> = {
  durationSeconds: { key: 'certificate-duration', kind: values.certificateDurationSeconds },
  dnsNames: { key: 'certificate-dns-names', kind: values.dnsNames },
}

const keysOf = (table: object): string[] =>
  Object.values(table as Readonly<Record<string, Attribute<unknown>>>).map(({ key }) => key)

/** Every attribute that a volume of the driver may have. */
export const DRIVER_ATTRIBUTES: readonly string[] = [...keysOf(CREDENTIALS), ...keysOf(CERTIFICATE)]

/** An attribute of the driver's volume that is missing, unknown or out of bounds, or two that exclude each other. */
class DriverVolumeError extends NocredsError<
  | 'ERR_ATTRIBUTE_MISSING'
  | 'ERR_ATTRIBUTE_UNKNOWN'
  | 'ERR_ATTRIBUTE_OUT_OF_BOUNDS'
  | 'ERR_ATTRIBUTE_CONFLICT'
> {}

/** The `volumeAttributes` of a volume that asks for this. */
export function toAttributes({ credentials, certificate }: DriverRequest): Record<string, string> {
  return {
    ...(credentials === undefined ? {} : write(CREDENTIALS, credentials)),
    ...(certificate === undefined ? {} : write(CERTIFICATE, certificate)),
  }
}

/**
 * Reads what {@link toAttributes} wrote; strict, as anyone who may create pods writes attributes.
 *
 * @throws DriverVolumeError that names the attribute, its value and what is allowed
 */
export function fromAttributes(attributes: Readonly<Record<string, string>>): DriverRequest {
  const unknown = Object.keys(attributes).find((key) => !DRIVER_ATTRIBUTES.includes(key))
  if (unknown !== undefined) {
    throw new DriverVolumeError(
      'ERR_ATTRIBUTE_UNKNOWN',
      `unknown volume attribute ${JSON.stringify(unknown.slice(0, 100))}; allowed: ${DRIVER_ATTRIBUTES.join(', ')}`,
    )
  }
  const has = (table: object): boolean =>
    keysOf(table).some((key) => Object.hasOwn(attributes, key))
  const wantsCertificate = has(CERTIFICATE)
  return {
    credentials: has(CREDENTIALS) || !wantsCertificate ? readCredentials(attributes) : undefined,
    certificate: wantsCertificate ? read(CERTIFICATE, attributes) : undefined,
  }
}

function readCredentials(attributes: Readonly<Record<string, string>>): DriverCredentials {
  const credentials = read(CREDENTIALS, attributes)
  const conflict = conflictOf(credentials, {
    roleArn: `attribute ${CREDENTIALS.roleArn.key}`,
    containerRoleArns: `volume attribute ${CREDENTIALS.containerRoleArns.key}`,
    targetRoleArn: CREDENTIALS.targetRoleArn.key,
  })
  if (conflict === undefined) return credentials
  throw new DriverVolumeError('ERR_ATTRIBUTE_CONFLICT', conflict)
}

function rowsOf<T>(table: AttributeTable<T>): [string, Attribute<unknown>][] {
  return Object.entries(table as Readonly<Record<string, Attribute<unknown>>>)
}

function write<T extends object>(table: AttributeTable<T>, wanted: T): Record<string, string> {
  const written: Record<string, string> = {}
  for (const [name, { key, kind }] of rowsOf(table)) {
    const value = wanted[name as keyof T]
    if (value !== undefined) written[key] = kind.format(value)
  }
  return written
}

function read<T>(table: AttributeTable<T>, attributes: Readonly<Record<string, string>>): T {
  const entries = rowsOf(table).map(([name, row]) => [name, readAttribute(row, attributes)])
  return Object.fromEntries(entries) as T
}

function readAttribute(
  { key, kind, optional }: Attribute<unknown>,
  attributes: Readonly<Record<string, string>>,
): unknown {
  const text = Object.hasOwn(attributes, key) ? attributes[key] : undefined
  if (text === undefined) {
    if (optional === true) return undefined
    throw new DriverVolumeError(
      'ERR_ATTRIBUTE_MISSING',
      `volume attribute ${key} is missing; allowed: ${kind.allowed}`,
    )
  }
  const value = kind.parse(text)
  if (value !== undefined) return value
  throw new DriverVolumeError(
    'ERR_ATTRIBUTE_OUT_OF_BOUNDS',
    `volume attribute ${key} is ${JSON.stringify(text.slice(0, 200))}; allowed: ${kind.allowed}`,
  )
}
