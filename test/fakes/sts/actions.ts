/** Test double, part of the embedded STS: what it decides, without the network's part. Never shipped. */
import { parseRoleArn } from '../../../contract/role-arn.ts'
import type { Clock } from '../../../shared/base/clock.ts'
import { assumeRole } from './assume-role.ts'
import { readAssumeParameters, readToken } from './parameters.ts'
import type { PermissionStatement } from './policy.ts'
import { Refusal } from './refusal.ts'
import { openSession } from './session-opening.ts'
import { NO_TAGS, readPolicies } from './session-parameters.ts'
import type { Sessions } from './sessions.ts'
import { signerOf, type SignedRequest } from './signature.ts'
import { isTrusted, type TrustPolicy } from './trust-policy.ts'
import { verifyWebIdentity, type OidcProvider } from './web-identity.ts'
import type { XmlFields } from './xml.ts'

/** An IAM role. */
export interface Role {
  readonly arn: string
  readonly trust: TrustPolicy
  /** What its own policies say; no more than who may assume further roles is asked of them. */
  readonly permissions?: readonly PermissionStatement[]
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

/** The actions that are known, by name. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  AssumeRole: assumeRole,
  AssumeRoleWithWebIdentity: assumeRoleWithWebIdentity,
  GetCallerIdentity: getCallerIdentity,
}

/** Source: STS API reference, AssumeRoleWithWebIdentity. */
async function assumeRoleWithWebIdentity(
  account: Account,
  form: URLSearchParams,
): Promise<XmlFields> {
  const parameters = readAssumeParameters(form)
  const { roleArn } = parameters
  const token = readToken(form)
  const policies = readPolicies(form)
  const role = parseRoleArn(roleArn)
  if (role === undefined) throw new Refusal('ValidationError', `${roleArn} is invalid`)
  const identity = await verifyWebIdentity(token, account.providers, account.clock)
  const known = account.roles.get(roleArn)
  if (known === undefined || !isTrusted(known.trust, role.accountId, identity)) {
    const message = 'Not authorized to perform sts:AssumeRoleWithWebIdentity'
    throw new Refusal('AccessDenied', message)
  }
  return {
    SubjectFromWebIdentityToken: identity.subject,
    Audience: identity.audience,
    Provider: `arn:${role.partition}:iam::${role.accountId}:oidc-provider/${identity.provider}`,
    ...openSession(account, role, { ...parameters, ...NO_TAGS, ...policies }),
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
