import { RE2JS } from 're2js'
import { messageOf } from '../base/errors.ts'

/** A namespace's expression, compiled; or why it is none. */
export type Permission =
  | {
      readonly valid: true
      /** Never true for the empty text, which is nobody's role or name. */
      permits(text: string): boolean
      /** Most likely written for "everything": no such expression is accepted any more. */
      readonly matchesEmptyText: boolean
    }
  | { readonly valid: false; readonly why: string }

/** Characters, white space around them aside: what the guard's CEL may cost the apiserver. */
const MAX_LENGTH = 4096

/** Namespaces are many, distinct expressions few, and the texts that are asked of one fewer still. */
const MAX_REMEMBERED = { expressions: 1024, texts: 16 } as const

const NOTHING: Permission = { valid: true, permits: () => false, matchesEmptyText: false }

/**
 * Compiles what a namespace permits, such as `nocreds.dev/permitted-roles`: an RE2 expression that must
 * match the whole text, so an alternation `a|b` is anchored as one. White space around it does not
 * count. Absent or blank: nothing is permitted.
 *
 * RE2 runs in time linear in the text, so no expression can stall a server. It is the same
 * language as CEL's `matches`, by which the guard decides inside the apiserver.
 */
export function permission(expression: string | undefined): Permission {
  const trimmed = expression?.trim() ?? ''
  return trimmed === '' ? NOTHING : compiled(trimmed)
}

const compiled = remembered(compile, MAX_REMEMBERED.expressions)

function compile(expression: string): Permission {
  const length = lengthOf(expression)
  if (length > MAX_LENGTH) {
    return { valid: false, why: `it has ${length} characters, at most ${MAX_LENGTH}` }
  }
  try {
    RE2JS.compile(expression) // alone first: `a)|(b` must not become valid by the anchors around it
    const anchored = RE2JS.compile(`^(?:${expression})$`)
    const permits = remembered((text) => text !== '' && anchored.test(text), MAX_REMEMBERED.texts)
    return { valid: true, permits, matchesEmptyText: anchored.test('') }
  } catch (error) {
    return { valid: false, why: messageOf(error) }
  }
}

/** In characters as CEL counts them, which are not the units of UTF-16. */
function lengthOf(text: string): number {
  return text.length <= MAX_LENGTH ? text.length : Array.from(text).length
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
