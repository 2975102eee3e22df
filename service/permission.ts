import { RE2JS } from 're2js'
import { messageOf } from '../platform/errors.ts'

/** A namespace's expression, compiled; or why it is none. */
export type Permission =
  | { readonly valid: true; permits(text: string): boolean }
  | { readonly valid: false; readonly why: string }

/** Generous for a list of ARNs or names, and a bound on the work of compiling it. */
const MAX_LENGTH = 16_384

/** Namespaces are many, distinct expressions few, and the texts that are asked of one fewer still. */
const MOST_REMEMBERED = { expressions: 1024, texts: 16 } as const

const NOTHING: Permission = { valid: true, permits: () => false }

/**
 * Compiles what a namespace permits, `nocreds.dev/permitted-roles` or `permitted-dns-names`: an RE2
 * expression that must match the whole text, so an alternation `a|b` is anchored as one. Absent or
 * blank: nothing is permitted.
 *
 * RE2 runs in time linear in the text, so no expression can stall a server. It is the same
 * language as CEL's `matches`, by which the guard decides inside the apiserver.
 */
export function permission(expression: string | undefined): Permission {
  if (expression === undefined || expression.trim() === '') return NOTHING
  return compiled(expression)
}

const compiled = remembered(compile, MOST_REMEMBERED.expressions)

function compile(expression: string): Permission {
  if (expression.length > MAX_LENGTH) {
    return { valid: false, why: `it has ${expression.length} characters, at most ${MAX_LENGTH}` }
  }
  try {
    RE2JS.compile(expression) // alone first: `a)|(b` must not become valid by the anchors around it
    const anchored = RE2JS.compile(`^(?:${expression})$`)
    const permits = remembered((text) => anchored.test(text), MOST_REMEMBERED.texts)
    return { valid: true, permits }
  } catch (error) {
    return { valid: false, why: messageOf(error) }
  }
}

/** The function with its last results by their text; the oldest goes where there are too many. */
function remembered<Result>(
  decide: (text: string) => Result,
  most: number,
): (text: string) => Result {
  const results = new Map<string, Result>()
  return (text) => {
    const known = results.get(text)
    if (known !== undefined) return known
    const result = decide(text)
    if (results.size >= most) results.delete(results.keys().next().value ?? '')
    results.set(text, result)
    return result
  }
}
