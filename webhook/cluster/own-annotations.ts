import { ANNOTATIONS } from '../../contract/annotations.ts'
import { PREFIX } from '../../contract/names.ts'
import { EKS_ROLE } from '../admit/warnings/peer-annotations.ts'
import type { Annotated } from './types.ts'

/** Shared by every object without annotations of ours, which is most of a cluster. */
export const NOTHING: Annotated = { annotations: Object.freeze({}) }
/** Shared by every ServiceAccount of EKS's own injector: that it is there is worth a warning, what it says is not. */
const EKS: Annotated = { annotations: Object.freeze({ [EKS_ROLE]: '' }) }

/** Characters of a value that are kept: more than any value in bounds has. */
const MAX_VALUE = 16_384
/** Characters of a longer one: enough for its message, and out of bounds as the whole is. */
const CUT_VALUE = 512
/** Keys under our prefix that mean nothing: the first is enough for a denial. */
const MAX_UNKNOWN_KEYS = 8

/** Their only bound is their length, and white space around them does not count. */
const EXPRESSIONS: readonly string[] = ['roles', 'dns-names', 'session-names'].map(
  (what) => `${PREFIX}permitted-${what}`,
)
const KNOWN = new Set(
  Object.values(ANNOTATIONS).flatMap((table) => Object.keys(table).map((key) => PREFIX + key)),
)

/**
 * What is kept of an object. Caches hold 100,000 of these, so everything else is dropped at once; and
 * anyone who may write a ServiceAccount may put 256 KiB there, so what is out of bounds is cut, such that it
 * stays out of bounds.
 * NOTE: a decision that comes to need another field must add it here and to `Annotated`.
 */
export function keepOwnAnnotations(
  annotations: Readonly<Record<string, string>> | null | undefined,
): Annotated {
  const ours = Object.entries(annotations ?? {}).filter(([key]) => key.startsWith(PREFIX))
  const isOfEks = annotations !== undefined && annotations !== null && EKS_ROLE in annotations
  if (ours.length === 0) return isOfEks ? EKS : NOTHING
  let unknown = 0
  const kept = ours.filter(([key]) => KNOWN.has(key) || (unknown += 1) <= MAX_UNKNOWN_KEYS)
  const cutOnes = kept.map(([key, value]) => [key, cut(key, value)] as const)
  return { annotations: { ...(isOfEks ? EKS.annotations : {}), ...Object.fromEntries(cutOnes) } }
}

/** Characters that it takes in a cache. */
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
