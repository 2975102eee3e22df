/** Test double, part of the embedded STS: what it decides, without the network's part. Never shipped. */
import { formatExpiration } from '../../../contract/credentials.ts'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import type { Clock } from '../../../shared/base/clock.ts'
import { readAssumeParameters } from './parameters.ts'
import { Refusal } from './refusal.ts'
import type { Sessions } from './sessions.ts'
import { signerOf, type SignedRequest } from './signature.ts'
import { isTrusted, type TrustPolicy } from './trust-policy.ts'
import { verifyWebIdentity, type OidcProvider } from './web-identity.ts'
import type { XmlFields } from './xml.ts'

/** An IAM role. */
export interface Role {
  readonly arn: string
  readonly trust: TrustPolicy
  /** 3600–43200; 3600 if not given, as IAM has it. */
  readonly maxSessionDurationSeconds?: number
}

/** What the actions work on. */
export interface Account {
  readonly clock: Clock
  readonly providers: readonly OidcProvider[]
  readonly roles: ReadonlyMap<string, Role>
  readonly sessions: Sessions
  /** The longest lifetime that it grants, whatever is requested; undefined: no such limit. */
  readonly lifetimeSeconds: number | undefined
}

export type Action = (
  account: Account,
  form: URLSearchParams,
  request: SignedRequest,
) => XmlFields | Promise<XmlFields>

const DEFAULT_MAX_SESSION_SECONDS = 3600

/** The actions that are known, by name. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  AssumeRoleWithWebIdentity: assumeRoleWithWebIdentity,
  GetCallerIdentity: getCallerIdentity,
}

/** Source: STS API reference, AssumeRoleWithWebIdentity. */
async function assumeRoleWithWebIdentity(
  account: Account,
  form: URLSearchParams,
): Promise<XmlFields> {
  const { roleArn, sessionName, token, durationSeconds } = readAssumeParameters(form)
  const role = parseRoleArn(roleArn)
  if (role === undefined) throw new Refusal('ValidationError', `${roleArn} is invalid`)
  const identity = await verifyWebIdentity(token, account.providers, account.clock)
  const known = account.roles.get(roleArn)
  if (known === undefined || !isTrusted(known.trust, role.accountId, identity)) {
    const message = 'Not authorized to perform sts:AssumeRoleWithWebIdentity'
    throw new Refusal('AccessDenied', message)
  }
  if (durationSeconds > (known.maxSessionDurationSeconds ?? DEFAULT_MAX_SESSION_SECONDS)) {
    const message =
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.'
    throw new Refusal('ValidationError', message)
  }
  const lifetimeSeconds = Math.min(durationSeconds, account.lifetimeSeconds ?? durationSeconds)
  const session = account.sessions.open(role, sessionName, lifetimeSeconds)
  return {
    SubjectFromWebIdentityToken: identity.subject,
    Audience: identity.audience,
    AssumedRoleUser: { Arn: session.arn, AssumedRoleId: session.userId },
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      SessionToken: session.sessionToken,
      Expiration: formatExpiration(session.expiresAtMs),
    },
    Provider: `arn:${role.partition}:iam::${role.accountId}:oidc-provider/${identity.provider}`,
  }
}

/** Source: STS API reference, GetCallerIdentity. */
function getCallerIdentity(
  account: Account,
  _form: URLSearchParams,
  request: SignedRequest,
): XmlFields {
  const { arn, userId, accountId } = signerOf(request, account.sessions, account.clock)
  return { Arn: arn, UserId: userId, Account: accountId }
}
