/** Test double, part of the embedded STS: what a role's trust policy decides. Never shipped. */
import { NocredsError } from '../../../shared/base/errors.ts'
import {
  concerns,
  KNOWN_OPERATORS,
  listOf,
  verdictOf,
  type OneOrMore,
  type RequestContext,
  type Rule,
} from './policy.ts'

export interface TrustStatement extends Rule {
  readonly Principal: {
    /** ARNs of IAM OIDC providers. */
    readonly Federated?: OneOrMore<string>
    /** ARNs of roles, or accounts as `arn:aws:iam::<12 digits>:root` or 12 digits. */
    readonly AWS?: OneOrMore<string>
  }
}

/**
 * A trust policy as IAM accepts it, as far as web identities and roles need it.
 * Source: IAM, "Creating a role for OpenID Connect federation" and "JSON policy elements".
 */
export interface TrustPolicy {
  readonly Version: '2012-10-17' | '2008-10-17'
  readonly Statement: OneOrMore<TrustStatement>
}

/** A document that IAM would not have stored, or that uses what this double does not know. */
class TrustPolicyError extends NocredsError<'ERR_TRUST_POLICY'> {}

/** The identity of a request: the values of the condition keys `<issuer>:sub` and `<issuer>:aud`. */
export interface WebIdentity {
  /** The issuer without its scheme: how IAM names the provider. */
  readonly provider: string
  readonly subject: string
  readonly audience: string
}

const ACTION = 'sts:AssumeRoleWithWebIdentity'

/** The policy that trusts one ServiceAccount of one issuer, as the documentation writes it. */
export function trustPolicy(trusted: {
  /** URL of the issuer. */
  readonly issuer: string
  /** `system:serviceaccount:<namespace>:<name>`; `*` and `?` are wildcards. */
  readonly subject: string
  readonly audience: string
  readonly accountId: string
}): TrustPolicy {
  const provider = providerOf(trusted.issuer)
  const subjectOperator = /[*?]/.test(trusted.subject) ? 'StringLike' : 'StringEquals'
  const audience = { [`${provider}:aud`]: trusted.audience }
  const subject = { [`${provider}:sub`]: trusted.subject }
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Federated: `arn:aws:iam::${trusted.accountId}:oidc-provider/${provider}` },
        Action: ACTION,
        Condition:
          subjectOperator === 'StringEquals'
            ? { StringEquals: { ...audience, ...subject } }
            : { StringEquals: audience, StringLike: subject },
      },
    ],
  }
}

/** The issuer without its scheme, as IAM names providers and condition keys. */
export function providerOf(issuerUrl: string): string {
  return issuerUrl.replace(/^https:\/\//, '')
}

const PRINCIPALS = [
  {
    name: 'Federated',
    shape: /^arn:[a-z-]+:iam::\d{12}:oidc-provider\/.+$/,
    what: 'the ARN of an IAM OIDC provider',
  },
  {
    name: 'AWS',
    shape: /^(?:arn:[a-z-]+:iam::\d{12}:(?:root|role\/.+)|\d{12})$/,
    what: 'the ARN of a role or an account',
  },
] as const

/** @throws TrustPolicyError that names what is wrong; a policy that passes is decided on faithfully */
export function assertTrustPolicy(policy: TrustPolicy): void {
  for (const { Principal, Condition = {} } of listOf(policy.Statement)) {
    for (const { name, shape, what } of PRINCIPALS) {
      const wrong = listOf(Principal[name]).find((arn) => !shape.test(arn))
      if (wrong !== undefined) throw invalid(`${wrong} is not ${what}`)
    }
    const unknown = Object.keys(Condition).find((one) => !KNOWN_OPERATORS.includes(one))
    if (unknown !== undefined) {
      const allowed = KNOWN_OPERATORS.join(', ')
      throw invalid(`condition operator ${unknown} is not known here; allowed: ${allowed}`)
    }
  }
}

function invalid(why: string): TrustPolicyError {
  return new TrustPolicyError('ERR_TRUST_POLICY', why)
}

/** True if some statement allows the identity and none denies it. */
export function isTrusted(policy: TrustPolicy, accountId: string, identity: WebIdentity): boolean {
  const { provider, subject, audience } = identity
  const principal = `iam::${accountId}:oidc-provider/${provider}`
  const context = new Map([
    [`${provider}:sub`.toLowerCase(), subject],
    [`${provider}:aud`.toLowerCase(), audience],
  ])
  const matching = listOf(policy.Statement).filter(
    (statement) =>
      listOf(statement.Principal.Federated).some((arn) => withoutPartition(arn) === principal) &&
      concerns(statement, ACTION, context),
  )
  return verdictOf(matching) === 'Allow'
}

/**
 * How a role is trusted: by its name, or only as one of its account, which then decides by the policies of the role.
 * Undefined if it is not.
 *
 * @param roleArn the role whose session asks
 */
export function trustOf(
  policy: TrustPolicy,
  { roleArn, action }: { readonly roleArn: string; readonly action: string },
  context: RequestContext,
): 'role' | 'account' | undefined {
  const role = withoutPartition(roleArn)
  const [, account = ''] = /^iam::(\d{12}):/.exec(role) ?? []
  const ofAccount = [account, `iam::${account}:root`]
  const matching = listOf(policy.Statement)
    .filter((statement) => concerns(statement, action, context))
    .map(({ Effect, Principal }) => ({
      Effect,
      named: listOf(Principal.AWS).map(withoutPartition),
    }))
  const byName = matching.filter(({ named }) => named.includes(role))
  const byAccount = matching.filter(({ named }) => named.some((one) => ofAccount.includes(one)))
  if (verdictOf([...byName, ...byAccount]) !== 'Allow') return undefined
  return byName.length > 0 ? 'role' : 'account'
}

/** An account is in one partition, so its number says enough. */
function withoutPartition(arn: string): string {
  return arn.replace(/^arn:[a-z-]+:/, '')
}
