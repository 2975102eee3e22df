import { parseArgs } from 'node:util'
import { quoted, type ValueKind } from '../../contract/values.ts'
import { messageOf, UsageError } from '../base/errors.ts'

/** A flag of a program; --help and docs/reference/flags.md are generated from these. */
export interface Flag<T> {
  readonly kind: ValueKind<T>
  /** Undefined: the flag has no default, and its value may be undefined. */
  readonly default?: T
  readonly required?: true
  readonly help: string
}

export const text: ValueKind<string> = {
  allowed: 'non-empty text',
  parse: (value) => (value.trim() === '' ? undefined : value),
  format: (value) => value,
}

export const port: ValueKind<number> = {
  allowed: 'a port from 0 (any free one) to 65535',
  parse: (value) =>
    /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined,
  format: String,
}

export function flag<T, const Rest extends Omit<Flag<NoInfer<T>>, 'kind'>>(
  kind: ValueKind<T>,
  rest: Rest,
): { readonly kind: ValueKind<T> } & Rest {
  return { kind, ...rest }
}

type ValueOf<F> = F extends { readonly kind: ValueKind<infer T> } ? T : never

/** The parsed flags; those with a default and required ones are always defined. */
export type Config<Flags> = {
  readonly [Name in keyof Flags]: Flags[Name] extends { required: true } | { default: unknown }
    ? ValueOf<Flags[Name]>
    : ValueOf<Flags[Name]> | undefined
}

/**
 * Reads a command line (without node and program).
 *
 * @throws UsageError that names the flag, its value and what is allowed
 */
export function readFlags<Flags extends object>(
  flags: Flags,
  argv: readonly string[],
): Config<Flags> {
  const given = splitFlags(Object.keys(flags), argv)
  const config: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries<Flag<unknown>>(
    flags as Record<string, Flag<unknown>>,
  )) {
    config[name] = readFlag(name, spec, given[name])
  }
  return config as Config<Flags>
}

function splitFlags(
  flags: readonly string[],
  argv: readonly string[],
): Readonly<Record<string, unknown>> {
  const options = Object.fromEntries(flags.map((name) => [name, { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    const names = flags.map((name) => `--${name}`)
    const [problem = ''] = messageOf(error).split('. ', 1)
    throw new UsageError(`${problem}; allowed flags: ${names.join(', ')}`)
  }
}

/**
 * An unset value of a flag that a manifest fills from a ConfigMap: empty or, if the ConfigMap does not have the key
 * yet, the unresolved reference, which the kubelet leaves unchanged.
 * Source: Kubernetes, "Define Dependent Environment Variables".
 */
const UNSET = /^(?:\$\([A-Z_]+\))?$/

function readFlag(name: string, spec: Flag<unknown>, given: unknown): unknown {
  if (typeof given !== 'string' || (UNSET.test(given) && spec.required !== true)) {
    if (spec.required === true) {
      throw new UsageError(`--${name} is missing; allowed: ${spec.kind.allowed} (${spec.help})`)
    }
    return spec.default
  }
  const value = spec.kind.parse(given)
  if (value === undefined) {
    throw new UsageError(`--${name} is ${quoted(spec.kind, given)}; allowed: ${spec.kind.allowed}`)
  }
  return value
}

/** The text of --help. @param title describes the program */
export function usageOf(title: string, flags: object): string {
  const lines = Object.entries<Flag<unknown>>(flags as Record<string, Flag<unknown>>).map(
    ([name, spec]) => {
      const { kind, help, required, default: standard } = spec
      const absent = required === true ? 'required' : 'no default'
      const defaultText = standard === undefined ? absent : `default ${kind.format(standard)}`
      return `  --${name}\n      ${help}\n      ${kind.allowed}; ${defaultText}`
    },
  )
  return `${title}\n\nFlags:\n${lines.join('\n')}\n`
}
