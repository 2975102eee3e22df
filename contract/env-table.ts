import { NocredsError } from '../shared/base/errors.ts'
import { quoted, type ValueKind } from './values.ts'

/** An env entry of a container, as Kubernetes has it. */
export interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly fieldRef: { readonly apiVersion: 'v1'; readonly fieldPath: string }
  }
}

/** How one value of a configuration travels as a variable. */
interface Variable<T> {
  readonly name: `NOCREDS_${string}`
  readonly kind: ValueKind<Exclude<T, undefined>>
  readonly optional?: undefined extends T ? true : never
  /** Taken from the pod by the kubelet instead of written out. */
  readonly fieldPath?: string
}

/** A configuration as variables, one row each; both directions are derived from it. */
export type EnvTable<Config> = { readonly [Key in keyof Config]-?: Variable<Config[Key]> }

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The kubelet expands `$(NAME)` in env values; a doubled dollar sign stands for itself.
 * Source: Kubernetes, "Define Dependent Environment Variables".
 */
export function literalEnvValue(value: string): string {
  return value.includes('$') ? value.replaceAll('$', '$$$$') : value
}

function rowsOf<Config>(table: EnvTable<Config>): [string, Variable<unknown>][] {
  return Object.entries(table as Readonly<Record<string, Variable<unknown>>>)
}

export function namesOf<Config>(table: EnvTable<Config>): string[] {
  return rowsOf(table).map(([, { name }]) => name)
}

/** The configuration as a container's env; what the kubelet fills in need not be in it. */
export function write<Config>(table: EnvTable<Config>, config: Partial<Config>): EnvVar[] {
  const env: EnvVar[] = []
  for (const [key, { name, kind, fieldPath }] of rowsOf(table)) {
    if (fieldPath !== undefined) {
      env.push({ name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } })
      continue
    }
    const value = config[key as keyof Config]
    if (value === undefined) continue
    env.push({ name, value: literalEnvValue(kind.format(value)) })
  }
  return env
}

/** A variable of the exchanger that is missing, unknown or out of bounds, or two that exclude each other. */
export class ExchangerEnvError extends NocredsError<
  'ERR_ENV_MISSING' | 'ERR_ENV_UNKNOWN' | 'ERR_ENV_OUT_OF_BOUNDS' | 'ERR_ENV_CONFLICT'
> {}

/**
 * Reads what {@link write} wrote, after the kubelet expanded it.
 *
 * @throws ExchangerEnvError that names the variable, its value and what is allowed
 */
export function read<Config>(table: EnvTable<Config>, env: Environment): Config {
  const entries = rowsOf(table).map(([key, variable]) => [key, readVariable(variable, env)])
  return Object.fromEntries(entries) as Config
}

function readVariable({ name, kind, optional }: Variable<unknown>, env: Environment): unknown {
  const text = env[name]
  const { allowed } = kind
  if (text === undefined) {
    if (optional === true) return undefined
    throw new ExchangerEnvError(
      'ERR_ENV_MISSING',
      `variable ${name} is missing; allowed: ${allowed}`,
    )
  }
  const value = kind.parse(text)
  if (value === undefined) {
    throw new ExchangerEnvError(
      'ERR_ENV_OUT_OF_BOUNDS',
      `variable ${name} is ${quoted(kind, text)}; allowed: ${allowed}`,
    )
  }
  return value
}
