import { ANNOTATIONS } from '../../contract/annotations.ts'
import { PREFIX } from '../../contract/names.ts'
import { EKS_ROLE } from '../admit/warnings/peer-annotations.ts'
import type { Annotated } from './types.ts'

/** Shared by every object without annotations of nocreds, which is most of a cluster. */
export const NOTHING: Annotated = { annotations: Object.freeze({}) }
/** Shared by every ServiceAccount annotated for the injector of EKS: its presence is worth a warning, its value is not needed. */
const EKS: Annotated = { annotations: Object.freeze({ [EKS_ROLE]: '' }) }

/** Characters of a value that are kept: more than any value in bounds has. */
const MAX_VALUE = 16_384
/** Characters kept of a longer value: enough for a message, and still out of bounds. */
const CUT_VALUE = 256
/** Unknown keys under the prefix that are kept: the first is enough for a denial. */
const MAX_UNKNOWN_KEYS = 8

/** Annotations bounded only by their length, without surrounding white space. */
const EXPRESSIONS: readonly string[] = ['roles', 'dns-names', 'session-names', 'session-tags'].map(
  (what) => `${PREFIX}permitted-${what}`,
)
const KNOWN = new Set(
  Object.values(ANNOTATIONS).flatMap((table) => Object.keys(table).map((key) => PREFIX + key)),
)

/**
 * What is kept of an object. Caches hold 100,000 of these, so everything else is dropped at once; and
 * anyone who can write a ServiceAccount can store 256 KiB there, so values out of bounds are cut, in a way that
 * keeps them out of bounds.
 * NOTE: if a decision needs another field, add it here and to `Annotated`.
 */
export function keepOwnAnnotations(
  annotations: Readonly<Record<string, string>> | null | undefined,
): Annotated {
  const own = Object.entries(annotations ?? {}).filter(([key]) => key.startsWith(PREFIX))
  const isOfEks = annotations !== undefined && annotations !== null && EKS_ROLE in annotations
  if (own.length === 0) return isOfEks ? EKS : NOTHING
  let unknown = 0
  const kept = own.filter(([key]) => KNOWN.has(key) || (unknown += 1) <= MAX_UNKNOWN_KEYS)
  const cutOnes = kept.map(([key, value]) => [key, cut(key, value)] as const)
  return { annotations: { ...(isOfEks ? EKS.annotations : {}), ...Object.fromEntries(cutOnes) } }
}

/** Characters that it occupies in the cache. */
export function sizeOf({ annotations }: Annotated): number {
  let size = 0
  for (const [key, value] of Object.entries(annotations)) size += key.length + value.length
  return size
}

function cut(key: string, value: string): string {
  if (value.length <= MAX_VALUE) return value
  if (EXPRESSIONS.includes(key)) return copy(value.trim(), MAX_VALUE + 1)
  return `${copy(value, CUT_VALUE)}\0` // in no value that is in bounds
}

/** V8 makes a slice keep the whole text. */
function copy(text: string, characters: number): string {
  return Buffer.from(text.slice(0, characters), 'utf16le').toString('utf16le')
}
