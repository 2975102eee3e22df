import type { ExchangeConfig } from '../../../contract/exchanger-env.ts'
import { PREFIX } from '../../../contract/names.ts'
import { MAX_CHAINED_SESSION_SECONDS } from '../../../contract/values.ts'
import { nameOf, type FailureClass } from '../../failure.ts'
import { classOf as classOfAny } from '../faults.ts'
import type { SessionTags } from '../sts.ts'
import { malformedSessionPolicy, policiesTooLarge } from './session-policy-hints.ts'
import { sessionNameOf, sessionPoliciesOf, type Step } from './step.ts'
import { defaultTagsOf, sessionTagsOf } from './tags.ts'

/** An exchange that has a target. */
export type TargetedConfig = ExchangeConfig & { readonly targetRoleArn: string }

/**
 * AssumeRole: a session of the first role for one of the target, signed by the former.
 * Source: STS API reference, AssumeRole.
 */
export function assumeRoleStep(config: TargetedConfig): Step {
  const { targetRoleArn, externalId } = config
  const durationSeconds = Math.min(config.sessionDurationSeconds, MAX_CHAINED_SESSION_SECONDS)
  const name = nameOf(config)
  return {
    name,
    roleArn: targetRoleArn,
    durationSeconds,
    request: () => ({
      action: 'AssumeRole',
      input: {
        RoleArn: targetRoleArn,
        RoleSessionName: sessionNameOf(config),
        DurationSeconds: durationSeconds,
        ...(externalId === undefined ? {} : { ExternalId: externalId }),
        ...tagsOf(config, name),
        ...sessionPoliciesOf(config),
      },
    }),
    classOf,
    hintFor: (code) => (Object.hasOwn(HINTS, code) ? HINTS[code]?.(config) : undefined),
  }
}

/** The tags of nocreds come last, and they alone are kept if the app assumes further roles. */
function tagsOf(config: ExchangeConfig, name: string): SessionTags {
  const own = defaultTagsOf(config)
  const tags = [...sessionTagsOf(config, name), ...own]
  return {
    ...(tags.length === 0
      ? {}
      : { Tags: tags.map(({ key, value }) => ({ Key: key, Value: value })) }),
    ...(own.length === 0 ? {} : { TransitiveTagKeys: own.map(({ key }) => key) }),
  }
}

/**
 * The first step makes new credentials for each exchange: what is wrong with them is neither the token's fault nor
 * there the next time.
 */
const TRANSIENT_HERE: readonly string[] = [
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
]

function classOf(code: string, httpStatus: number): FailureClass {
  return TRANSIENT_HERE.includes(code) ? 'transient' : classOfAny(code, httpStatus)
}

type Hint = (config: TargetedConfig) => string | undefined

/** By the code of the failure; docs/reference/events.md is generated from it. */
export const HINTS: Readonly<Record<string, Hint>> = {
  AccessDenied: accessDenied,
  ExpiredToken: newCredentials,
  ExpiredTokenException: newCredentials,
  InvalidClientTokenId: newCredentials,
  InvalidParameterValue: ({ roleArn }) =>
    `If the session of ${roleArn} has transitive tags, ${PREFIX}session-tags must not have their keys.`,
  MalformedPolicyDocument: ({ sessionPolicy, sessionPolicyArns }) =>
    sessionPolicy === undefined && sessionPolicyArns === undefined
      ? undefined
      : malformedSessionPolicy(),
  PackedPolicyTooLarge: (config) => policiesTooLarge({ hasTags: hasTags(config) }),
  SignatureDoesNotMatch: () =>
    `Is the clock of the node right? STS accepts a signature for a few minutes only.`,
  ValidationError: ({ sessionDurationSeconds, targetRoleArn }) =>
    `${PREFIX}session-duration is ${sessionDurationSeconds} s: the maximum session duration of ${targetRoleArn} must be at least as long, and AWS allows at most ${MAX_CHAINED_SESSION_SECONDS} s for a target role.`,
}

/** Source: IAM, "Access to AWS accounts owned by third parties", and "Pass session tags in AWS STS". */
function accessDenied(config: TargetedConfig): string {
  const { roleArn, targetRoleArn, externalId } = config
  const ofExternalId =
    externalId === undefined
      ? `; if it requires sts:ExternalId, set ${PREFIX}external-id`
      : `, with sts:ExternalId = ${externalId} if it has that condition`
  const ofTags = hasTags(config) ? ` Both need sts:TagSession, too, as tags are sent.` : ''
  return (
    `A policy of ${roleArn} must allow sts:AssumeRole on ${targetRoleArn}, and the trust policy of the ` +
    `latter must allow it to ${roleArn}${ofExternalId}.${ofTags}`
  )
}

function newCredentials({ roleArn }: TargetedConfig): string {
  return `STS does not accept the credentials of ${roleArn} that it issued a moment ago; the next attempt takes new ones. Is the clock of the node right?`
}

function hasTags(config: ExchangeConfig): boolean {
  return config.sessionTags !== undefined || config.defaultTags !== undefined
}
