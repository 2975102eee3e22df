import { PREFIX } from '../../contract/names.ts'
import type { Annotated } from './types.ts'

/** Shared by every object without annotations of ours, which is most of a cluster. */
const NOTHING: Annotated = { annotations: Object.freeze({}) }

/**
 * What is kept of an object. Caches hold 100,000 of these, so everything else is dropped at once.
 * NOTE: a decision that comes to need another field must add it here and to `Annotated`.
 */
export function keepOurs(
  annotations: Readonly<Record<string, string>> | null | undefined,
): Annotated {
  const ours = Object.entries(annotations ?? {}).filter(([key]) => key.startsWith(PREFIX))
  return ours.length === 0 ? NOTHING : { annotations: Object.fromEntries(ours) }
}
