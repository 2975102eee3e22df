import type { ExchangeConfig } from '../../../contract/exchanger-env.ts'
import { assumeRoleStep } from './assume-role.ts'
import type { Step } from './step.ts'
import { webIdentityStep } from './web-identity.ts'

/** The steps of an exchange: those before the last one, of which there may be none, and the last one. */
export interface Steps {
  readonly before: readonly Step[]
  readonly last: Step
}

/** What leads from the token to the role of the app. */
export function stepsOf(config: ExchangeConfig): Steps {
  const { targetRoleArn } = config
  const first = webIdentityStep(config)
  if (targetRoleArn === undefined) return { before: [], last: first }
  return { before: [first], last: assumeRoleStep({ ...config, targetRoleArn }) }
}
