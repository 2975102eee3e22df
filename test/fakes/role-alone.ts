/** Test double: samples of a pod with one role and nothing that narrows it. Never shipped. */
import type { SessionPolicyConfig, TargetConfig } from '../../contract/exchanger-env.ts'
import type { WantedCredentials } from '../../contract/wanted.ts'

/** As an exchanger is configured. */
export const ROLE_ALONE: TargetConfig &
  SessionPolicyConfig & { readonly containerRoleArns: undefined } = {
  containerRoleArns: undefined,
  targetRoleArn: undefined,
  externalId: undefined,
  sessionTags: undefined,
  sessionPolicy: undefined,
  sessionPolicyArns: undefined,
}

/** As annotations are resolved. */
export const WANTED_ALONE: Pick<
  WantedCredentials,
  'containers' | 'target' | 'sessionPolicy' | 'sessionPolicyArns'
> = {
  containers: undefined,
  target: undefined,
  sessionPolicy: undefined,
  sessionPolicyArns: undefined,
}
