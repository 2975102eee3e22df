/** Test double, part of the embedded STS: a role that is assumed with the session of another. Never shipped. */
import { parseRoleArn, type RoleArn } from '../../../contract/role-arn.ts'
import type { Account, Role } from './actions.ts'
import { readAssumeParameters, readExternalId } from './parameters.ts'
import { concerns, isLike, listOf, verdictOf, type RequestContext } from './policy.ts'
import { Refusal } from './refusal.ts'
import { openSession } from './session-opening.ts'
import { readPolicies, readTags } from './session-parameters.ts'
import type { Session } from './sessions.ts'
import { signerOf, type SignedRequest } from './signature.ts'
import { trustOf } from './trust-policy.ts'
import type { XmlFields } from './xml.ts'

/** Source: IAM, "Methods to assume a role", role chaining. */
const MAX_CHAINED_SECONDS = 3600

/** Source: STS API reference, AssumeRole. Every signer is a session of a role: there are no users here. */
export function assumeRole(
  account: Account,
  form: URLSearchParams,
  request: SignedRequest,
): XmlFields {
  const signer = signerOf(request, account.sessions, account.clock)
  const parameters = readAssumeParameters(form)
  const externalId = readExternalId(form)
  const tags = readTags(form, signer)
  const policies = readPolicies(form)
  const role = parseRoleArn(parameters.roleArn)
  if (role === undefined) {
    throw new Refusal('ValidationError', `${parameters.roleArn} is invalid`)
  }
  const asked = [...tags.tags].filter(([key]) => !signer.transitiveTagKeys.includes(key))
  const context = contextOf(signer, { externalId, asked, sessionName: parameters.sessionName })
  const actions = ['sts:AssumeRole', ...(asked.length === 0 ? [] : ['sts:TagSession'])]
  for (const action of actions) requirePermission(account, { signer, role, action }, context)
  if (parameters.durationSeconds > MAX_CHAINED_SECONDS) {
    const message =
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining'
    throw new Refusal('ValidationError', message)
  }
  return openSession(account, role, { ...parameters, ...tags, ...policies })
}

/** Source: IAM, "AWS global condition context keys" and "Available keys for AWS STS". */
function contextOf(
  signer: Session,
  asked: {
    readonly externalId: string | undefined
    readonly asked: readonly (readonly [string, string])[]
    readonly sessionName: string
  },
): RequestContext {
  const entries = [
    ...[...signer.tags].map(([key, value]) => [`aws:PrincipalTag/${key}`, value] as const),
    ...asked.asked.map(([key, value]) => [`aws:RequestTag/${key}`, value] as const),
    ['aws:PrincipalArn', signer.roleArn] as const,
    ['sts:RoleSessionName', asked.sessionName] as const,
    ...(asked.externalId === undefined ? [] : [['sts:ExternalId', asked.externalId] as const]),
  ]
  return new Map(entries.map(([key, value]) => [key.toLowerCase(), value]))
}

interface Wanted {
  readonly signer: Session
  readonly role: RoleArn
  readonly action: string
}

/**
 * Both sides must agree: the trust policy of the role that is assumed, and the policies of the role that assumes it. In one
 * account a trust policy that names the latter is enough.
 * Source: IAM, "Cross-account policy evaluation logic".
 *
 * @throws Refusal AccessDenied
 */
function requirePermission(account: Account, wanted: Wanted, context: RequestContext): void {
  const { signer, role, action } = wanted
  const target = account.roles.get(role.arn)
  const trust =
    target === undefined
      ? undefined
      : trustOf(target.trust, { roleArn: signer.roleArn, action }, context)
  const own = permissionOf(account.roles.get(signer.roleArn), wanted, context)
  const isNamed = trust === 'role' && role.accountId === signer.accountId
  // What narrows the session of the signer is not looked into, so it may do nothing here.
  const isNarrowed = signer.policy !== undefined || signer.policyArns.length > 0
  if (trust !== undefined && own !== 'Deny' && (own === 'Allow' || isNamed) && !isNarrowed) return
  const message = `User: ${signer.arn} is not authorized to perform: ${action} on resource: ${role.arn}`
  throw new Refusal('AccessDenied', message)
}

function permissionOf(
  source: Role | undefined,
  { role, action }: Wanted,
  context: RequestContext,
): 'Allow' | 'Deny' | undefined {
  return verdictOf(
    listOf(source?.permissions).filter(
      (statement) =>
        listOf(statement.Resource).some((pattern) => isLike(pattern, role.arn)) &&
        concerns(statement, action, context),
    ),
  )
}
