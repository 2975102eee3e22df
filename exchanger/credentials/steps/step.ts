import type { ExchangeConfig, SessionPolicyConfig } from '../../../contract/exchanger-env.ts'
import { renderSessionName } from '../../../contract/session-name.ts'
import type { FailureClass } from '../../failure.ts'
import type { Session } from '../session.ts'
import type { SessionPolicies, StsRequest } from '../sts.ts'
import type { Claims, WebIdentityToken } from '../token.ts'

/** What a step has to work with. */
export interface StepInput {
  readonly token: WebIdentityToken
  /** Made by the step before, and signs the request of this one; the first step has none. */
  readonly previous: Session | undefined
}

/**
 * One request of an exchange. The session of the last step is that of the app; each other one only signs the request
 * of the next step. A step decides what to ask for and what a refusal means; it sends nothing itself.
 */
export interface Step {
  /** What it asks for, as messages name it after `STS refused` or `no exchange of`. */
  readonly name: string
  /** The role that it assumes. */
  readonly roleArn: string
  /** DurationSeconds. */
  readonly durationSeconds: number
  /** @throws SidecarError if STS would certainly refuse the request */
  request(input: StepInput): StsRequest
  /** How a refusal is handled, by STS's code, HTTP status and message. */
  classOf(code: string, httpStatus: number, text: string): FailureClass
  /** What to check, by the code of the failure; undefined if the step has nothing to add to the message. */
  hintFor(code: string, claims: Claims): string | undefined
}

/** RoleSessionName: the same in every step, so that CloudTrail shows which workload each of them is of. */
export function sessionNameOf(config: ExchangeConfig): string {
  const { namespace, serviceAccount, pod } = config
  return renderSessionName(config.sessionName, { namespace, serviceaccount: serviceAccount, pod })
}

/** What narrows the session of the app, for the request of the last step; empty if nothing does. */
export function sessionPoliciesOf({
  sessionPolicy,
  sessionPolicyArns,
}: SessionPolicyConfig): SessionPolicies {
  return {
    ...(sessionPolicy === undefined ? {} : { Policy: sessionPolicy }),
    ...(sessionPolicyArns === undefined
      ? {}
      : { PolicyArns: sessionPolicyArns.map((arn) => ({ arn })) }),
  }
}
