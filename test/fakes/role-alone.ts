/** Test double: samples of a pod with one role and nothing that narrows it. Never shipped. */
import type { SessionPolicyConfig, TargetConfig } from '../../contract/exchanger-env.ts'
import type { WantedCredentials } from '../../contract/injection-request.ts'

/** As an exchanger is configured. */
export const ROLE_ALONE: TargetConfig & SessionPolicyConfig = {
  targetRoleArn: undefined,
  externalId: undefined,
  sessionTags: undefined,
  sessionPolicy: undefined,
  sessionPolicyArns: undefined,
}

/** As annotations are resolved. */
export const WANTED_ALONE: Pick<
  WantedCredentials,
  'target' | 'sessionPolicy' | 'sessionPolicyArns'
> = { target: undefined, sessionPolicy: undefined, sessionPolicyArns: undefined }
