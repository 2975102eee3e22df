import { AUTHORITY } from '../../contract/certificates.ts'
import {
  formatExpiration,
  publishedExpirationMs,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import { SidecarError, nameOf } from '../failure.ts'
import { faultOf } from './faults.ts'
import { hintFor } from './hints.ts'
import { isPlausibleStsTime, lifetimeMsOf } from './lifetime.ts'
import type { StsResponse } from './sts.ts'
import type { Claims, WebIdentityToken } from './token.ts'

export interface ExchangeDeps {
  readonly readToken: (config: CredentialsConfig) => Promise<WebIdentityToken>
  readonly assumeRole: (config: CredentialsConfig, jwt: string) => Promise<StsResponse>
  /** Milliseconds since the epoch by the node's clock. */
  readonly now: () => number
}

/** Tolerated error of the node's clock: a token near its expiry is left to STS to judge. */
const CLOCK_TOLERANCE_MS = 15 * 60_000

/**
 * Exchanges the projected token for credentials, once.
 *
 * @throws SidecarError whose message names role, namespace and ServiceAccount
 */
export async function exchange(
  config: CredentialsConfig,
  { readToken, assumeRole, now }: ExchangeDeps,
): Promise<CredentialDocument> {
  const { jwt, claims } = await readToken(config)
  const askedAtMs = now()
  refuseUnusableToken(config, claims, askedAtMs)
  let response: StsResponse
  try {
    response = await assumeRole(config, jwt)
  } catch (thrown) {
    const { code, failureClass, text, bySts } = faultOf(thrown)
    const verb = failureClass === 'refused' && bySts ? 'STS refused' : 'no exchange of'
    const hint = hintFor(code, config, claims)
    throw new SidecarError(failureClass, code, `${verb} ${nameOf(config)}: ${text}`, hint)
  }
  return toDocument(response, config, { askedAtMs, claims })
}

/** Refuses a token that STS would certainly refuse, immediately and with a plainer message. */
function refuseUnusableToken(config: CredentialsConfig, claims: Claims, nowMs: number): void {
  const { audiences, expiresAtMs } = claims
  if (audiences.includes(AUTHORITY.audience)) {
    throw new SidecarError(
      'refused',
      'WrongAudience',
      `no exchange of ${nameOf(config)}: the token is for ${AUTHORITY.audience}, and must not be sent to STS`,
      'The volume of the token must be the one that the webhook writes.',
    )
  }
  if (!audiences.includes(config.audience)) {
    throw new SidecarError(
      'refused',
      'WrongAudience',
      `no exchange of ${nameOf(config)}: the token is for ${audiences.join(', ') || 'no audience'}, not for ${config.audience}`,
      'The projected token and the exchanger must have the same audience.',
    )
  }
  if (expiresAtMs !== undefined && expiresAtMs + CLOCK_TOLERANCE_MS <= nowMs) {
    throw new SidecarError(
      'token',
      'TokenExpired',
      `no exchange of ${nameOf(config)}: the token expired at ${new Date(expiresAtMs).toISOString()}`,
      'The kubelet renews it: check the events of the pod and the clock of the node.',
    )
  }
}

/**
 * The document to publish. Its expiry is by the node's clock, which SDKs compare it with, and counted from before
 * the request, so a slow response does not extend the lifetime.
 */
function toDocument(
  { output, stsNowMs }: StsResponse,
  config: CredentialsConfig,
  { askedAtMs, claims }: { readonly askedAtMs: number; readonly claims: Claims },
): CredentialDocument {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = output.Credentials ?? {}
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || Expiration === undefined) {
    throw unusable(config, 'MalformedResponse', 'the response of STS has incomplete credentials')
  }
  const lifetimeMs = lifetimeMsOf({
    expiresAtMs: Expiration.getTime(),
    nodeNowMs: askedAtMs,
    stsNowMs: isPlausibleStsTime(stsNowMs, claims) ? stsNowMs : undefined,
    requestedMs: config.sessionDurationSeconds * 1000,
  })
  if (lifetimeMs === undefined) {
    const expiration = Number.isNaN(Expiration.getTime())
      ? 'an invalid time'
      : Expiration.toISOString()
    throw unusable(
      config,
      'ExpirationOutOfBounds',
      `STS issued credentials that expire at ${expiration}`,
    )
  }
  return {
    Version: 1,
    AccessKeyId,
    SecretAccessKey,
    SessionToken,
    Expiration: formatExpiration(publishedExpirationMs(askedAtMs + lifetimeMs, lifetimeMs)),
    AccountId: parseRoleArn(config.roleArn)?.accountId ?? '',
  }
}

function unusable(config: CredentialsConfig, code: string, text: string): SidecarError {
  return new SidecarError('transient', code, `no exchange of ${nameOf(config)}: ${text}`)
}
