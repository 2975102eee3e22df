import { RE2JS } from 're2js'
import { messageOf } from '../../platform/errors.ts'

/** A namespace's expression, compiled; or why it is none. */
export type Permission =
  | { readonly valid: true; permits(roleArn: string): boolean }
  | { readonly valid: false; readonly why: string }

/** Generous for a list of ARNs, and a bound on the work of compiling it. */
const MAX_LENGTH = 16_384

/** Compiled expressions by their text: namespaces are many, distinct expressions few. */
const MAX_CACHED = 1024
const cache = new Map<string, Permission>()

const NOTHING: Permission = { valid: true, permits: () => false }

/**
 * Compiles the value of `nocreds.dev/permitted-roles`: an RE2 expression that must match the whole
 * ARN, so an alternation `a|b` is anchored as one. Absent or blank: no role is permitted.
 *
 * RE2 runs in time linear in the text, so no expression can stall the webhook. It is the same
 * language as CEL's `matches`, by which the guard decides inside the apiserver.
 */
export function permission(expression: string | undefined): Permission {
  if (expression === undefined || expression.trim() === '') return NOTHING
  const known = cache.get(expression)
  if (known !== undefined) return known
  const compiled = compile(expression)
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value ?? '')
  cache.set(expression, compiled)
  return compiled
}

function compile(expression: string): Permission {
  if (expression.length > MAX_LENGTH) {
    return { valid: false, why: `it has ${expression.length} characters, at most ${MAX_LENGTH}` }
  }
  try {
    RE2JS.compile(expression) // alone first: `a)|(b` must not become valid by the anchors around it
    const anchored = RE2JS.compile(`^(?:${expression})$`)
    return { valid: true, permits: (roleArn) => anchored.test(roleArn) }
  } catch (error) {
    return { valid: false, why: messageOf(error) }
  }
}
