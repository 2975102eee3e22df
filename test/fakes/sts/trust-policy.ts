/** Test double, part of the embedded STS: what a role's trust policy decides. Never shipped. */
import { NocredsError } from '../../../shared/base/errors.ts'

type OneOrMore<T> = T | readonly T[]

/** A condition block: operator → condition key → one of these values. */
type Conditions = Readonly<Record<string, Readonly<Record<string, OneOrMore<string>>>>>

export interface TrustStatement {
  readonly Sid?: string
  readonly Effect: 'Allow' | 'Deny'
  /** ARNs of IAM OIDC providers. */
  readonly Principal: { readonly Federated: OneOrMore<string> }
  readonly Action: OneOrMore<string>
  readonly Condition?: Conditions
}

/**
 * A trust policy as IAM accepts it, as far as web identities need it.
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

type Operator = (value: string | undefined, wanted: readonly string[]) => boolean

/** A negated operator is true if the key is missing, the others are false. */
const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: (value, wanted) => value !== undefined && wanted.includes(value),
  StringNotEquals: (value, wanted) => value === undefined || !wanted.includes(value),
  StringLike: (value, wanted) => value !== undefined && wanted.some((one) => isLike(one, value)),
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

/** @throws TrustPolicyError that names what is wrong; a policy that passes is decided on faithfully */
export function assertTrustPolicy(policy: TrustPolicy): void {
  for (const statement of listOf(policy.Statement)) {
    const providers = listOf(statement.Principal.Federated)
    const wrong = providers.find((arn) => !/^arn:[a-z-]+:iam::\d{12}:oidc-provider\/.+$/.test(arn))
    if (wrong !== undefined) {
      throw new TrustPolicyError(
        'ERR_TRUST_POLICY',
        `${wrong} is not the ARN of an IAM OIDC provider`,
      )
    }
    for (const operator of Object.keys(statement.Condition ?? {})) {
      if (Object.hasOwn(OPERATORS, operator)) continue
      const known = Object.keys(OPERATORS).join(', ')
      throw new TrustPolicyError(
        'ERR_TRUST_POLICY',
        `condition operator ${operator} is not known here; allowed: ${known}`,
      )
    }
  }
}

/** True if some statement allows the identity and none denies it. */
export function isTrusted(policy: TrustPolicy, accountId: string, identity: WebIdentity): boolean {
  const matching = listOf(policy.Statement).filter((statement) =>
    concerns(statement, accountId, identity),
  )
  return (
    matching.some((statement) => statement.Effect === 'Allow') &&
    !matching.some((statement) => statement.Effect === 'Deny')
  )
}

function concerns(statement: TrustStatement, accountId: string, identity: WebIdentity): boolean {
  const provider = `iam::${accountId}:oidc-provider/${identity.provider}`
  return (
    listOf(statement.Principal.Federated).some((arn) => withoutPartition(arn) === provider) &&
    listOf(statement.Action).some((action) => isLike(action.toLowerCase(), ACTION.toLowerCase())) &&
    isMet(statement.Condition ?? {}, identity)
  )
}

/** An account is in one partition, so its number says enough. */
function withoutPartition(arn: string): string {
  return arn.replace(/^arn:[a-z-]+:/, '')
}

/** All operators and all keys must match; of the values of one key, any. */
function isMet(conditions: Conditions, { provider, subject, audience }: WebIdentity): boolean {
  const context = new Map([
    [`${provider}:sub`.toLowerCase(), subject],
    [`${provider}:aud`.toLowerCase(), audience],
  ])
  return Object.entries(conditions).every(([name, keys]) =>
    Object.entries(keys).every(([key, wanted]) =>
      OPERATORS[name]?.(context.get(key.toLowerCase()), listOf(wanted)),
    ),
  )
}

/** `*` stands for any characters, `?` for one. */
function isLike(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\/-]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(text)
}

function listOf<T>(value: OneOrMore<T>): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [value as T]
}
