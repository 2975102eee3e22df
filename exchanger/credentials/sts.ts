import {
  AssumeRoleWithWebIdentityCommand,
  STSClient,
  type AssumeRoleWithWebIdentityCommandOutput,
} from '@aws-sdk/client-sts'
import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import { defaultRegionOf, parseRoleArn } from '../../contract/role-arn.ts'
import { renderSessionName } from '../../contract/session-name.ts'
import { StsAgent } from './sts-agent.ts'

/**
 * Below the time after which the sidecar kills an exchange. The limit of a proxy is 5 s of the connection's; the rest
 * is for the handshake with STS.
 */
const TIMEOUTS_MS = { connection: 8000, request: 10_000 } as const

/** A response of STS, and its clock. */
export interface StsResponse {
  readonly output: AssumeRoleWithWebIdentityCommandOutput
  /** Milliseconds since the epoch by the `Date` header; undefined if absent. */
  readonly stsNowMs: number | undefined
}

/**
 * Sends one AssumeRoleWithWebIdentity request: unsigned, without retries (the sidecar does that), to the
 * regional endpoint. Source: STS API reference, AssumeRoleWithWebIdentity.
 *
 * @param signal aborts it; the limits of the client end with the headers of the response
 * @throws the SDK's errors
 */
export async function assumeRole(
  config: ExchangeConfig,
  token: string,
  signal?: AbortSignal,
): Promise<StsResponse> {
  const client = createClient(config)
  let stsNowMs: number | undefined
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      stsNowMs = dateOf(result.response)
      return result
    },
    { step: 'deserialize', name: 'readDateOfSts' },
  )
  try {
    const output = await client.send(
      new AssumeRoleWithWebIdentityCommand({
        RoleArn: config.roleArn,
        RoleSessionName: renderSessionName(config.sessionName, {
          namespace: config.namespace,
          serviceaccount: config.serviceAccount,
          pod: config.pod,
        }),
        WebIdentityToken: token,
        DurationSeconds: config.sessionDurationSeconds,
      }),
      signal === undefined ? {} : { abortSignal: signal },
    )
    return { output, stsNowMs }
  } finally {
    client.destroy()
  }
}

/**
 * Keeps the SDK from AWS files of a user, an image or a node, and gives it the home folder that it needs, which a user id
 * without an entry in /etc/passwd does not have.
 */
export function isolateSdk(env: Record<string, string | undefined>): void {
  env['HOME'] = '/'
  env['AWS_CONFIG_FILE'] = '/dev/null'
  env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
}

function createClient(config: ExchangeConfig): STSClient {
  const { stsEndpoint, roleArn } = config
  const role = parseRoleArn(roleArn)
  return new STSClient({
    region: config.region ?? (role === undefined ? 'us-east-1' : defaultRegionOf(role)),
    ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: TIMEOUTS_MS.connection,
      requestTimeout: TIMEOUTS_MS.request,
      throwOnRequestTimeout: true,
      httpsAgent: new StsAgent(config),
    },
  })
}

function dateOf(response: unknown): number | undefined {
  const { headers } = response as { headers?: Record<string, string | undefined> }
  const date = Date.parse(headers?.['date'] ?? '')
  return Number.isNaN(date) ? undefined : date
}
