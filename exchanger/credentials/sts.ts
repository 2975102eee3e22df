import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  STSClient,
  type AssumeRoleCommandInput,
  type AssumeRoleWithWebIdentityCommandInput,
  type AssumeRoleWithWebIdentityCommandOutput,
  type STSClientConfig,
} from '@aws-sdk/client-sts'
import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import { defaultRegionOf, parseRoleArn } from '../../contract/role-arn.ts'
import { StsAgent } from './sts-agent.ts'

/**
 * Of one request. Two of them, with the start of the process, take less than the time after which the sidecar kills an
 * exchange (30 s). The limit of a proxy is 5 s of the connection's; the rest is for the handshake with STS.
 */
export const TIMEOUTS_MS = { connection: 8000, request: 10_000 } as const

/** A request that makes a session. Source: STS API reference. */
export type StsRequest =
  | {
      readonly action: 'AssumeRoleWithWebIdentity'
      readonly input: AssumeRoleWithWebIdentityCommandInput
    }
  | { readonly action: 'AssumeRole'; readonly input: AssumeRoleCommandInput }

export type SessionPolicies = Pick<AssumeRoleCommandInput, 'Policy' | 'PolicyArns'>
export type SessionTags = Pick<AssumeRoleCommandInput, 'Tags' | 'TransitiveTagKeys'>

/** What signs a request; the first three fields are secret. */
export interface StsSigner {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** The clock of STS minus that of the node, as far as the lifetime tells. */
  readonly stsClockOffsetMs: number
}

/** A response of STS, and its clock. */
export interface StsResponse {
  readonly output: Pick<AssumeRoleWithWebIdentityCommandOutput, 'Credentials' | '$metadata'>
  /** Milliseconds since the epoch by the `Date` header; undefined if absent. */
  readonly stsNowMs: number | undefined
}

/**
 * Sends one request: without retries (the sidecar does that), to the regional endpoint.
 *
 * @param signer signs it, by the clock of STS; undefined: it is unsigned
 * @param signal aborts it; the limits of the client end with the headers of the response
 * @throws the SDK's errors
 */
export async function sendToSts(
  config: ExchangeConfig,
  request: StsRequest,
  signer: StsSigner | undefined,
  signal?: AbortSignal,
): Promise<StsResponse> {
  const client = createClient(config, signer)
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
    const options = signal === undefined ? {} : { abortSignal: signal }
    const output =
      request.action === 'AssumeRole'
        ? await client.send(new AssumeRoleCommand(request.input), options)
        : await client.send(new AssumeRoleWithWebIdentityCommand(request.input), options)
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

function createClient(config: ExchangeConfig, signer: StsSigner | undefined): STSClient {
  const { stsEndpoint, roleArn } = config
  const role = parseRoleArn(roleArn)
  return new STSClient({
    region: config.region ?? (role === undefined ? 'us-east-1' : defaultRegionOf(role)),
    ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }),
    ...(signer === undefined ? {} : signedBy(signer)),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: TIMEOUTS_MS.connection,
      requestTimeout: TIMEOUTS_MS.request,
      throwOnRequestTimeout: true,
      httpsAgent: new StsAgent(config),
    },
  })
}

function signedBy({
  accessKeyId,
  secretAccessKey,
  sessionToken,
  stsClockOffsetMs,
}: StsSigner): Pick<STSClientConfig, 'credentials' | 'systemClockOffset'> {
  const credentials = { accessKeyId, secretAccessKey, sessionToken }
  return { credentials, systemClockOffset: stsClockOffsetMs }
}

function dateOf(response: unknown): number | undefined {
  const { headers } = response as { headers?: Record<string, string | undefined> }
  const date = Date.parse(headers?.['date'] ?? '')
  return Number.isNaN(date) ? undefined : date
}
