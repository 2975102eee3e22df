import { NocredsError } from '../shared/base/errors.ts'
import { containerRoles } from './container-roles.ts'
import { deliveries, delivery } from './delivery.ts'
import { exchangerResources } from './exchanger-resources.ts'
import { exchanger } from './exchangers.ts'
import { PREFIX } from './names.ts'
import { policyArns, sessionPolicy } from './session-policy.ts'
import { sessionTags } from './session-tags.ts'
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
  'role-arn': values.roleOrName,
  'container-roles': containerRoles,
  delivery,
  'session-duration': values.sessionDurationSeconds,
  'session-name': values.sessionName,
  'target-role-arn': values.roleArn,
  'external-id': values.externalId,
  'session-tags': sessionTags,
  'session-policy': sessionPolicy,
  'session-policy-arns': policyArns,
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
    'default-role-arn': values.roleOrName,
    'permitted-dns-names': anyText,
    'permitted-deliveries': deliveries,
    'permitted-session-names': anyText,
    'permitted-session-tags': anyText,
    'default-session-tags': values.flag,
    exchanger,
  },
  ServiceAccount: ON_SERVICE_ACCOUNT,
  Pod: {
    ...ON_SERVICE_ACCOUNT,
    inject: values.flag,
    'skip-containers': containerList,
    'injected-role': anyText,
    'injected-roles': anyText,
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
export function quoted(value: string): string {
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
