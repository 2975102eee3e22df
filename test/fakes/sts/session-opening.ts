/** Test double, part of the embedded STS: what a request for a session has in common with every other. Never shipped. */
import { formatExpiration } from '../../../contract/credentials.ts'
import type { RoleArn } from '../../../contract/role-arn.ts'
import type { Account } from './actions.ts'
import type { AssumeParameters } from './parameters.ts'
import { Refusal } from './refusal.ts'
import { packedPercent, type SessionPolicies, type SessionTags } from './session-parameters.ts'
import type { XmlFields } from './xml.ts'

const DEFAULT_MAX_SESSION_SECONDS = 3600

/**
 * Opens a session of a role that is permitted to the caller, and says so.
 *
 * @throws Refusal ValidationError or PackedPolicyTooLarge
 */
export function openSession(
  account: Account,
  role: RoleArn,
  asked: AssumeParameters & SessionTags & SessionPolicies,
): XmlFields {
  const { sessionName, durationSeconds } = asked
  const known = account.roles.get(role.arn)
  if (durationSeconds > (known?.maxSessionDurationSeconds ?? DEFAULT_MAX_SESSION_SECONDS)) {
    const message =
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.'
    throw new Refusal('ValidationError', message)
  }
  const isPacked = asked.policy !== undefined || asked.policyArns.length > 0 || asked.tags.size > 0
  const percent = packedPercent(asked, asked)
  const lifetimeSeconds = Math.min(durationSeconds, account.lifetimeSeconds ?? durationSeconds)
  const session = account.sessions.open(role, { ...asked, sessionName, lifetimeSeconds })
  return {
    AssumedRoleUser: { Arn: session.arn, AssumedRoleId: session.userId },
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      SessionToken: session.sessionToken,
      Expiration: formatExpiration(session.expiresAtMs),
    },
    ...(isPacked ? { PackedPolicySize: String(percent) } : {}),
  }
}
