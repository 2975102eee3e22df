import { fillIn, isTemplate, type SessionNameParts } from './session-name.ts'
import type { ValueKind } from './values.ts'

/** A tag of a session; its value may be a template with the placeholders of session names. */
export interface SessionTag {
  readonly key: string
  readonly value: string
}

/**
 * The tags that EKS Pod Identity sets, so that permission policies written for it work unchanged. Source: Amazon EKS,
 * "Grant Pods access to AWS resources based on tags".
 */
export const DEFAULT_TAG = {
  clusterArn: 'eks-cluster-arn',
  clusterName: 'eks-cluster-name',
  namespace: 'kubernetes-namespace',
  serviceAccount: 'kubernetes-service-account',
  podName: 'kubernetes-pod-name',
  podUid: 'kubernetes-pod-uid',
} as const

/** Keys that only nocreds sets, whether it does or not; STS compares keys regardless of case. */
export const RESERVED_TAG_KEYS: readonly string[] = Object.values(DEFAULT_TAG)

/**
 * A session has at most 50 tags, six of which are nocreds' own. Of values and keys, `value` counts after the
 * placeholders are filled in. Source: STS API reference, AssumeRole and Tag.
 */
export const TAG_LIMITS = { tags: 44, key: 128, value: 256, text: 4096 } as const

/** Keys are ASCII, as no two letters of it are taken for one by STS except in case. */
const KEY = /^[\w.:/+@-][\w.:/+@ -]*$/
const VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@{}]*$/u

/** Tags as `key=value` separated by commas, of which a key or value has none. */
export const sessionTags: ValueKind<readonly SessionTag[]> = {
  allowed:
    `at most ${TAG_LIMITS.tags} tags key=value separated by commas, ${TAG_LIMITS.text} characters in all; a key has at most ${TAG_LIMITS.key} of ` +
    `A–Z a–z 0–9 _ . : / + - @ and blanks, occurs once in any case, does not begin with aws: and is none of ${RESERVED_TAG_KEYS.join(', ')}; ` +
    `a value has at most ${TAG_LIMITS.value} letters, digits, blanks and _ . : / = + - @, and may have the placeholders {namespace}, {serviceaccount} and {pod}`,
  parse(text) {
    if (text.length > TAG_LIMITS.text) return undefined
    const tags = text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map(tagOf)
    const keys = new Set(tags.map(({ key }) => key.toLowerCase()))
    const isAllowed = tags.length > 0 && tags.length <= TAG_LIMITS.tags && keys.size === tags.length
    return isAllowed && tags.every(isAllowedTag) ? tags : undefined
  },
  format: (tags) => tags.map(formatTag).join(','),
}

/** `key=value`, as the Namespace permits it and STS is told. */
export function formatTag({ key, value }: SessionTag): string {
  return `${key}=${value}`
}

/** The tag with the placeholders of its value filled in; parts that are absent stay placeholders. */
export function fillInTag(
  { key, value }: SessionTag,
  parts: Partial<SessionNameParts>,
): SessionTag {
  return { key, value: fillIn(value, parts) }
}

/** A text without `=` has an empty key, which is not allowed. */
function tagOf(part: string): SessionTag {
  const at = part.indexOf('=')
  return { key: part.slice(0, Math.max(0, at)), value: part.slice(at + 1) }
}

function isAllowedTag({ key, value }: SessionTag): boolean {
  const folded = key.toLowerCase()
  return (
    KEY.test(key) &&
    key.length <= TAG_LIMITS.key &&
    !folded.startsWith('aws:') &&
    !RESERVED_TAG_KEYS.includes(folded) &&
    VALUE.test(value) &&
    value.length <= TAG_LIMITS.value &&
    isTemplate(value)
  )
}
