import { RE2JS } from 're2js'
import { messageOf } from '../base/errors.ts'

/** The compiled expression of a namespace, or why it is invalid. */
export type Permission =
  | {
      readonly valid: true
      /** Never true for the empty text, which is not a role or name. */
      permits(text: string): boolean
      /** Such an expression was probably meant to match everything; it is no longer accepted. */
      readonly matchesEmptyText: boolean
    }
  | { readonly valid: false; readonly why: string }

/** In characters without surrounding white space; limited by the cost of the guard's CEL in the apiserver. */
const MAX_LENGTH = 4096

/** There are many namespaces, but few different expressions, and few different texts for each. */
const CACHE_SIZE = { expressions: 1024, texts: 16 } as const

const NOTHING: Permission = { valid: true, permits: () => false, matchesEmptyText: false }

/**
 * Compiles what a namespace permits, such as `nocreds.dev/permitted-roles`: an RE2 expression that must
 * match the whole text, so an alternation `a|b` is anchored as a whole. Surrounding white space is
 * ignored. Absent or blank: nothing is permitted.
 *
 * RE2 runs in time linear in the text, so no expression can stall a server. It is the same
 * language as in CEL's `matches`, which the guard uses inside the apiserver.
 */
export function permission(expression: string | undefined): Permission {
  const trimmed = expression?.trim() ?? ''
  return trimmed === '' ? NOTHING : compiled(trimmed)
}

const compiled = cached(compile, CACHE_SIZE.expressions)

function compile(expression: string): Permission {
  const length = lengthOf(expression)
  if (length > MAX_LENGTH) {
    return { valid: false, why: `it has ${length} characters; allowed: at most ${MAX_LENGTH}` }
  }
  try {
    RE2JS.compile(expression) // separately first: `a)|(b` must not become valid inside the anchors
    const anchored = RE2JS.compile(`^(?:${expression})$`)
    const permits = cached((text) => text !== '' && anchored.test(text), CACHE_SIZE.texts)
    return { valid: true, permits, matchesEmptyText: anchored.test('') }
  } catch (error) {
    return { valid: false, why: messageOf(error) }
  }
}

/** In characters as CEL counts them, which are not UTF-16 code units. */
function lengthOf(text: string): number {
  return text.length <= MAX_LENGTH ? text.length : Array.from(text).length
}

/** Caches the results of the function by text; the oldest one is dropped when the cache is full. */
function cached<Result>(
  decide: (text: string) => Result,
  maxEntries: number,
): (text: string) => Result {
  const results = new Map<string, Result>()
  return (text) => {
    const known = results.get(text)
    if (known !== undefined) return known
    const result = decide(text)
    if (results.size >= maxEntries) results.delete(results.keys().next().value ?? '')
    results.set(text, result)
    return result
  }
}
