/** Test double, part of the embedded STS: the language of IAM policies, as far as it is known here. Never shipped. */

export type OneOrMore<T> = T | readonly T[]

/** A condition block: operator → condition key → one of these values. */
type Conditions = Readonly<Record<string, Readonly<Record<string, OneOrMore<string>>>>>

/** Values of condition keys; the keys are in lower case, as IAM compares them regardless of case. */
export type RequestContext = ReadonlyMap<string, string>

/** What a statement says of actions and conditions, whatever policy it is in. */
export interface Rule {
  readonly Sid?: string
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: OneOrMore<string>
  readonly Condition?: Conditions
}

/** A statement of a role's own policies: what its sessions may do. */
export interface PermissionStatement extends Rule {
  readonly Resource: OneOrMore<string>
}

type Operator = (value: string | undefined, wanted: readonly string[]) => boolean

/** A negated operator is true if the key is missing, the others are false. */
const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: (value, wanted) => value !== undefined && wanted.includes(value),
  StringNotEquals: (value, wanted) => value === undefined || !wanted.includes(value),
  StringLike: (value, wanted) => value !== undefined && wanted.some((one) => isLike(one, value)),
}

export const KNOWN_OPERATORS: readonly string[] = Object.keys(OPERATORS)

/** True if the statement is about this action in this context. Source: IAM, "Policy evaluation logic". */
export function concerns(rule: Rule, action: string, context: RequestContext): boolean {
  return (
    listOf(rule.Action).some((one) => isLike(one.toLowerCase(), action.toLowerCase())) &&
    isMet(rule.Condition ?? {}, context)
  )
}

/** What the statements that concern a request come to; a Deny wins, and none is no Allow. */
export function verdictOf(
  statements: readonly Pick<Rule, 'Effect'>[],
): 'Allow' | 'Deny' | undefined {
  if (statements.some(({ Effect }) => Effect === 'Deny')) return 'Deny'
  return statements.length > 0 ? 'Allow' : undefined
}

/** All operators and all keys must match; of the values of one key, any. */
function isMet(conditions: Conditions, context: RequestContext): boolean {
  return Object.entries(conditions).every(([name, keys]) =>
    Object.entries(keys).every(([key, wanted]) =>
      OPERATORS[name]?.(context.get(key.toLowerCase()), listOf(wanted)),
    ),
  )
}

/** `*` stands for any characters, `?` for one. */
export function isLike(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\/-]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(text)
}

export function listOf<T>(value: OneOrMore<T> | undefined): readonly T[] {
  if (value === undefined) return []
  return Array.isArray(value) ? (value as readonly T[]) : [value as T]
}
