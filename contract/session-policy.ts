import { text, type ValueKind } from './values.ts'

/** Source: STS API reference, AssumeRole: Policy and PolicyArns. */
export const POLICY_LIMITS = { characters: 2048, arns: 10 } as const

/** A session policy; nothing looks into it but STS. */
export const sessionPolicy: ValueKind<string> = /* @__PURE__ */ text(
  `a policy as a JSON object of at most ${POLICY_LIMITS.characters} characters of Latin-1`,
  (value) =>
    value.length <= POLICY_LIMITS.characters &&
    /^[\t\n\r\x20-\xff]+$/.test(value) &&
    isJsonObject(value),
)

const POLICY_ARN =
  /^arn:(?:aws|aws-cn|aws-us-gov|aws-iso(?:-[a-z])?|aws-eusc):iam::(?:aws|[0-9]{12}):policy\/[\x21-\x7e]{0,599}[\w+=.@-]$/

/** ARNs of managed policies, separated by blanks or line breaks, as names of policies may have commas. */
export const policyArns: ValueKind<readonly string[]> = {
  allowed: `at most ${POLICY_LIMITS.arns} different ARNs of IAM policies, arn:aws:iam::<aws or 12 digits>:policy/<path and name>, separated by blanks or line breaks`,
  parse(value) {
    const arns = value.split(/\s+/).filter((one) => one !== '')
    const isAllowed =
      arns.length > 0 && arns.length <= POLICY_LIMITS.arns && new Set(arns).size === arns.length
    return isAllowed && arns.every((arn) => POLICY_ARN.test(arn)) ? arns : undefined
  },
  format: (arns) => arns.join(' '),
}

function isJsonObject(value: string): boolean {
  try {
    const parsed: unknown = JSON.parse(value)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
  } catch {
    return false
  }
}
