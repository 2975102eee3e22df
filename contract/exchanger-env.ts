import { NocredsError } from '../platform/errors.ts'
import { CREDENTIALS_VOLUME, EXCHANGER, TOKEN_VOLUME } from './names.ts'
import * as values from './values.ts'
import type { ValueKind } from './values.ts'

/** What one exchanger must know. The webhook writes it as env, the exchanger reads it back. */
export interface ExchangerConfig {
  readonly roleArn: string
  readonly delivery: 'process' | 'endpoint'
  readonly sessionDurationSeconds: number
  /** A template, see session-name.ts. */
  readonly sessionName: string
  readonly namespace: string
  readonly serviceAccount: string
  /** Name of the pod, from the downward API: at admission a generated name is not known yet. */
  readonly pod: string
  readonly audience: string
  readonly region: string | undefined
  /** Undefined: the regional endpoint of AWS. */
  readonly stsEndpoint: string | undefined
  readonly tokenFile: string
  readonly credentialsFolder: string
  readonly terminationMessageFile: string
}

/** An env entry of a container, as Kubernetes has it. */
export interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly fieldRef: { readonly apiVersion: 'v1'; readonly fieldPath: string }
  }
}

const ENV_PREFIX = 'NOCREDS_'

/**
 * What the kubelet adds for a Service of the pod's namespace: one named `nocreds-x` brings
 * `NOCREDS_X_SERVICE_HOST` and the like, which are none of ours.
 * Source: Kubernetes, "Service", Environment variables.
 */
const SERVICE_LINK = /_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$/

/** The pod's own name as the kubelet knows it, which at admission may still have to be generated. */
export const POD_NAME_ENV = {
  name: `${ENV_PREFIX}POD`,
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } },
} as const

/** THE schema: one row a variable. Both directions below are derived from it. */
const VARIABLES: {
  readonly [Key in keyof ExchangerConfig]-?: {
    readonly name: `NOCREDS_${string}`
    readonly kind: ValueKind<Exclude<ExchangerConfig[Key], undefined>>
    readonly optional?: undefined extends ExchangerConfig[Key] ? true : never
    /** Taken from the pod by the kubelet instead of written out. */
    readonly fieldPath?: string
  }
} = {
  roleArn: { name: 'NOCREDS_ROLE_ARN', kind: values.roleArn },
  delivery: { name: 'NOCREDS_DELIVERY', kind: values.oneOf('process', 'endpoint') },
  sessionDurationSeconds: {
    name: 'NOCREDS_SESSION_DURATION_SECONDS',
    kind: values.sessionDurationSeconds,
  },
  sessionName: { name: 'NOCREDS_SESSION_NAME', kind: values.sessionName },
  namespace: { name: 'NOCREDS_NAMESPACE', kind: values.objectName },
  serviceAccount: { name: 'NOCREDS_SERVICE_ACCOUNT', kind: values.objectName },
  pod: {
    name: POD_NAME_ENV.name,
    kind: values.objectName,
    fieldPath: POD_NAME_ENV.valueFrom.fieldRef.fieldPath,
  },
  audience: { name: 'NOCREDS_AUDIENCE', kind: values.audience },
  region: { name: 'NOCREDS_REGION', kind: values.region, optional: true },
  stsEndpoint: { name: 'NOCREDS_STS_ENDPOINT', kind: values.stsEndpoint, optional: true },
  tokenFile: { name: 'NOCREDS_TOKEN_FILE', kind: values.absolutePath },
  credentialsFolder: { name: 'NOCREDS_CREDENTIALS_FOLDER', kind: values.absolutePath },
  terminationMessageFile: { name: 'NOCREDS_TERMINATION_MESSAGE_FILE', kind: values.absolutePath },
}

const ROWS = Object.entries(VARIABLES)

/** Where things are in a pod's sidecar. */
export const IN_POD = {
  tokenFile: TOKEN_VOLUME.file,
  credentialsFolder: CREDENTIALS_VOLUME.mountPath,
  terminationMessageFile: EXCHANGER.terminationMessagePath,
} as const

/**
 * The kubelet expands `$(NAME)` in env values; a doubled dollar sign stands for itself.
 * Source: Kubernetes, "Define Dependent Environment Variables".
 */
export function literalEnvValue(value: string): string {
  return value.includes('$') ? value.replaceAll('$', '$$$$') : value
}

/** The env of the sidecar. The pod's name comes by the downward API, so it is not asked for. */
export function toEnv(config: Omit<ExchangerConfig, 'pod'>): EnvVar[] {
  const env: EnvVar[] = []
  for (const [key, variable] of ROWS) {
    if (variable.fieldPath !== undefined) {
      const fieldRef = { apiVersion: 'v1' as const, fieldPath: variable.fieldPath }
      env.push({ name: variable.name, valueFrom: { fieldRef } })
      continue
    }
    const value = config[key as keyof typeof config]
    if (value === undefined) continue
    const kind = variable.kind as ValueKind<unknown>
    env.push({ name: variable.name, value: literalEnvValue(kind.format(value)) })
  }
  return env
}

/** A variable of the exchanger that is missing, unknown or out of bounds. */
export class ExchangerEnvError extends NocredsError<
  'ERR_ENV_MISSING' | 'ERR_ENV_UNKNOWN' | 'ERR_ENV_OUT_OF_BOUNDS'
> {}

/**
 * Reads what {@link toEnv} wrote, after the kubelet expanded it.
 *
 * @throws ExchangerEnvError that names the variable, its value and what is allowed
 */
export function fromEnv(env: Readonly<Record<string, string | undefined>>): ExchangerConfig {
  const names: readonly string[] = ROWS.map(([, variable]) => variable.name)
  const unknown = Object.keys(env).find(
    (key) => key.startsWith(ENV_PREFIX) && !names.includes(key) && !SERVICE_LINK.test(key),
  )
  if (unknown !== undefined) {
    throw new ExchangerEnvError(
      'ERR_ENV_UNKNOWN',
      `unknown variable ${unknown}; allowed: ${names.join(', ')}`,
    )
  }
  const config: Record<string, unknown> = {}
  for (const [key, variable] of ROWS) config[key] = readVariable(variable, env)
  return config as unknown as ExchangerConfig
}

function readVariable(
  variable: (typeof VARIABLES)[keyof ExchangerConfig],
  env: Readonly<Record<string, string | undefined>>,
): unknown {
  const text = env[variable.name]
  const { allowed } = variable.kind
  if (text === undefined) {
    if (variable.optional === true) return undefined
    throw new ExchangerEnvError(
      'ERR_ENV_MISSING',
      `variable ${variable.name} is missing; allowed: ${allowed}`,
    )
  }
  const value = variable.kind.parse(text)
  if (value === undefined) {
    throw new ExchangerEnvError(
      'ERR_ENV_OUT_OF_BOUNDS',
      `variable ${variable.name} is ${JSON.stringify(text)}; allowed: ${allowed}`,
    )
  }
  return value
}
