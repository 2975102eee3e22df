/** Test double: samples that the tests of the exchanger share. Never shipped. */
import type { CredentialDocument } from '../../contract/credentials.ts'
import { formatExpiration } from '../../contract/credentials.ts'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { jsonLogger, type Logger } from '../../shared/base/log.ts'
import { recordOutput } from '../leak-check.ts'
import { ROLE_ALONE } from './role-alone.ts'

export const CONFIG: CredentialsConfig = {
  roleArn: 'arn:aws:iam::111122223333:role/app',
  delivery: 'process',
  sessionDurationSeconds: 3600,
  sessionName: '{namespace}.{serviceaccount}',
  namespace: 'team-a',
  serviceAccount: 'app',
  pod: 'app-1',
  audience: 'sts.amazonaws.com',
  region: 'eu-central-1',
  ...ROLE_ALONE,
  defaultTags: undefined,
  stsEndpoint: undefined,
  stsProxy: undefined,
  stsNoProxy: undefined,
  stsCa: undefined,
  tokenFile: '/nowhere/token',
  credentialsFolder: '/nowhere/aws',
  terminationMessageFile: '/nowhere/termination-log',
}

/** A document whose published Expiration is that moment, told apart from others by its key id. */
export function documentEnding(epochMs: number, keyId = 'KEY-1'): CredentialDocument {
  return {
    Version: 1,
    AccessKeyId: keyId,
    SecretAccessKey: `secret-of-${keyId}`,
    SessionToken: `session-of-${keyId}`,
    Expiration: formatExpiration(epochMs),
    AccountId: '111122223333',
  }
}

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** A logger that keeps what it is given. */
export function collectingLog(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const { roleArn: role, namespace, serviceAccount } = CONFIG
  const log = jsonLogger(
    (line) => {
      lines.push(JSON.parse(line) as LogLine)
      recordOutput(line)
    },
    () => 0,
    { base: { role, namespace, serviceAccount } },
  )
  return { log, lines }
}

/** What the action throws; a test fails if it throws nothing. */
export async function thrownBy(action: () => unknown): Promise<unknown> {
  try {
    await action()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
