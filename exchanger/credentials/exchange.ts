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
import { isPlausible, lifetimeMsOf } from './lifetime.ts'
import type { StsAnswer } from './sts.ts'
import type { Claims, WebIdentityToken } from './token.ts'

export interface ExchangeDeps {
  readonly readToken: (config: CredentialsConfig) => Promise<WebIdentityToken>
  readonly assumeRole: (config: CredentialsConfig, jwt: string) => Promise<StsAnswer>
  /** Milliseconds since the epoch by the node's clock. */
  readonly now: () => number
}

/** The node's clock may be wrong by this much, so a token near its end is left to STS to judge. */
const CLOCK_TOLERANCE_MS = 15 * 60_000

/**
 * Trades the projected token for credentials, once.
 *
 * @throws SidecarError whose message names role, namespace and ServiceAccount
 */
export async function exchange(
  config: CredentialsConfig,
  { readToken, assumeRole, now }: ExchangeDeps,
): Promise<CredentialDocument> {
  const { jwt, claims } = await readToken(config)
  const askedAtMs = now()
  refuseHopeless(config, claims, askedAtMs)
  let answer: StsAnswer
  try {
    answer = await assumeRole(config, jwt)
  } catch (thrown) {
    const { code, failureClass, text, bySts } = faultOf(thrown)
    const verb = failureClass === 'refused' && bySts ? 'STS refused' : 'no exchange of'
    const hint = hintFor(code, config, claims)
    throw new SidecarError(failureClass, code, `${verb} ${nameOf(config)}: ${text}`, hint)
  }
  return toDocument(answer, config, { askedAtMs, claims })
}

/** What STS is sure to refuse is said at once, and in plainer words. */
function refuseHopeless(config: CredentialsConfig, claims: Claims, nowMs: number): void {
  const { audiences, expiresAtMs } = claims
  if (audiences.includes(AUTHORITY.audience)) {
    throw new SidecarError(
      'refused',
      'WrongAudience',
      `no exchange of ${nameOf(config)}: the token is for ${AUTHORITY.audience}, and goes to nobody else`,
      'The volume of the token must be the one that the webhook writes.',
    )
  }
  if (!audiences.includes(config.audience)) {
    throw new SidecarError(
      'refused',
      'WrongAudience',
      `no exchange of ${nameOf(config)}: the token is for ${audiences.join(', ') || 'no audience'}, not for ${config.audience}`,
      'The audience of the projected token and the one of the exchanger must be the same.',
    )
  }
  if (expiresAtMs !== undefined && expiresAtMs + CLOCK_TOLERANCE_MS <= nowMs) {
    throw new SidecarError(
      'token',
      'TokenExpired',
      `no exchange of ${nameOf(config)}: the token ended at ${new Date(expiresAtMs).toISOString()}`,
      'The kubelet renews it: look at the events of the pod and at the clock of the node.',
    )
  }
}

/**
 * The document to publish. Its end is written by the node's clock, which SDKs compare with, and counted from before
 * the request, so a slow answer does not lengthen a life.
 */
function toDocument(
  { output, stsNowMs }: StsAnswer,
  config: CredentialsConfig,
  { askedAtMs, claims }: { readonly askedAtMs: number; readonly claims: Claims },
): CredentialDocument {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = output.Credentials ?? {}
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || Expiration === undefined) {
    throw unusable(config, 'MalformedResponse', 'STS gave no whole credentials')
  }
  const lifetimeMs = lifetimeMsOf({
    expiresAtMs: Expiration.getTime(),
    nodeNowMs: askedAtMs,
    stsNowMs: isPlausible(stsNowMs, claims) ? stsNowMs : undefined,
    wantedMs: config.sessionDurationSeconds * 1000,
  })
  if (lifetimeMs === undefined) {
    const end = Number.isNaN(Expiration.getTime()) ? 'no time' : Expiration.toISOString()
    throw unusable(config, 'ExpirationOutOfBounds', `STS gave credentials until ${end}`)
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
