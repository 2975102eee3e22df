/** Test double, part of the embedded STS: tags and policies of a session. Never shipped. */
import { deflateRawSync } from 'node:zlib'
import { jsonObject } from '../../../shared/base/json.ts'
import { failed, listFrom } from './parameters.ts'
import { Refusal } from './refusal.ts'

/** What a session is narrowed by. STS hands both on to the services that the session is used with. */
export interface SessionPolicies {
  /** As it was sent. */
  readonly policy: string | undefined
  readonly policyArns: readonly string[]
}

export interface SessionTags {
  readonly tags: ReadonlyMap<string, string>
  /** Those of them that sessions made with this one inherit. */
  readonly transitiveTagKeys: readonly string[]
}

export const NO_TAGS: SessionTags = { tags: new Map(), transitiveTagKeys: [] }

/** Source: STS API reference, AssumeRole: Policy, PolicyArns and Tags, and Tag. */
const LIMITS = { policy: 2048, policyArns: 10, tags: 50, tagKey: 128, tagValue: 256 } as const
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u
const PACKED_BYTES = 1024

/** @throws Refusal ValidationError or MalformedPolicyDocument */
export function readPolicies(form: URLSearchParams): SessionPolicies {
  const policy = form.get('Policy') ?? undefined
  if (policy !== undefined) requirePolicy(policy)
  const policyArns = listFrom(form, 'PolicyArns').map((fields) => fields.get('arn') ?? '')
  if (policyArns.length > LIMITS.policyArns) {
    throw failed('***', 'policyArns', atMost(LIMITS.policyArns))
  }
  const wrong = policyArns.find((arn) => !/^arn:[a-z-]+:iam::(?:aws|\d{12}):policy\/.+$/.test(arn))
  if (wrong !== undefined) throw new Refusal('ValidationError', `ARN ${wrong} is not valid.`)
  return { policy, policyArns }
}

function requirePolicy(policy: string): void {
  if (policy.length > LIMITS.policy) throw failed('***', 'policy', atMost(LIMITS.policy))
  const document = jsonObject(policy)
  if (document === undefined) {
    throw new Refusal('MalformedPolicyDocument', 'The policy is not in the valid JSON format.')
  }
  const statements = [document['Statement'] ?? []].flat()
  if (statements.length > 0 && statements.every(isStatement)) return
  throw new Refusal('MalformedPolicyDocument', 'Syntax errors in policy.')
}

/** A session policy is one of an identity: it has no Principal. Source: IAM, "JSON policy elements". */
function isStatement(statement: unknown): boolean {
  if (typeof statement !== 'object' || statement === null) return false
  const { Effect } = statement as { readonly Effect?: unknown }
  return (
    (Effect === 'Allow' || Effect === 'Deny') &&
    ('Action' in statement || 'NotAction' in statement) &&
    ('Resource' in statement || 'NotResource' in statement) &&
    !('Principal' in statement)
  )
}

/**
 * The tags of a request, with those that the session which signs it passes on.
 *
 * @throws Refusal ValidationError or InvalidParameterValue
 */
export function readTags(form: URLSearchParams, inherited: SessionTags): SessionTags {
  const tags = listFrom(form, 'Tags').map(readTag)
  const transitive = listFrom(form, 'TransitiveTagKeys').map((fields) => fields.get('') ?? '')
  if (tags.length > LIMITS.tags) throw failed('***', 'tags', atMost(LIMITS.tags))
  const keys = tags.map(([key]) => key.toLowerCase())
  if (new Set(keys).size < keys.length) {
    const message = 'Duplicate tag keys found. Please note that Tag keys are case insensitive.'
    throw new Refusal('InvalidParameterValue', message)
  }
  if (!transitive.every((key) => keys.includes(key.toLowerCase()))) {
    const message = 'The specified transitive tag key must be included in the requested tags.'
    throw new Refusal('InvalidParameterValue', message)
  }
  if (inherited.transitiveTagKeys.some((key) => keys.includes(key.toLowerCase()))) {
    const message =
      "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."
    throw new Refusal('InvalidParameterValue', message)
  }
  const passedOn = inherited.transitiveTagKeys.map((key): [string, string] => [
    key,
    inherited.tags.get(key) ?? '',
  ])
  return {
    tags: new Map([...passedOn, ...tags]),
    transitiveTagKeys: [...inherited.transitiveTagKeys, ...transitive],
  }
}

function readTag(fields: ReadonlyMap<string, string>): [string, string] {
  const [key, value] = [fields.get('Key') ?? '', fields.get('Value') ?? '']
  const parts = [
    { member: 'key', text: key, min: 1, max: LIMITS.tagKey },
    { member: 'value', text: value, min: 0, max: LIMITS.tagValue },
  ]
  for (const { member, text, min, max } of parts) {
    const at = `tags.1.member.${member}`
    if (text.length < min)
      throw failed(`'${text}'`, at, `Member must have length greater than or equal to ${min}`)
    if (text.length > max) throw failed(`'${text}'`, at, atMost(max))
    if (!TAG_TEXT.test(text)) {
      throw failed(
        `'${text}'`,
        at,
        `Member must satisfy regular expression pattern: ${TAG_TEXT.source}`,
      )
    }
  }
  return [key, value]
}

/**
 * How much of the space for tags and policies a session takes, in percent. AWS packs them in a form of its own, which it
 * does not publish; this one is like it, in that a text that repeats itself takes less.
 *
 * @throws Refusal PackedPolicyTooLarge
 */
export function packedPercent(
  { policy = '', policyArns }: SessionPolicies,
  { tags }: SessionTags,
): number {
  const packed = deflateRawSync(JSON.stringify([policy, policyArns, [...tags]]))
  const percent = Math.ceil((100 * packed.length) / PACKED_BYTES)
  if (percent <= 100) return percent
  const message = `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`
  throw new Refusal('PackedPolicyTooLarge', message)
}

function atMost(max: number): string {
  return `Member must have length less than or equal to ${max}`
}
