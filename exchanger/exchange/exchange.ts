import {
  formatExpiration,
  publishedExpirationMs,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import { codeOf, messageOf } from '../../platform/errors.ts'
import { ExchangeError } from '../failure.ts'
import { hintFor, kindOf } from './classify.ts'
import type { StsAnswer } from './sts.ts'
import type { WebIdentityToken } from './token.ts'

export interface ExchangeDeps {
  readonly readToken: (path: string) => Promise<WebIdentityToken>
  readonly assumeRole: (config: ExchangerConfig, token: string) => Promise<StsAnswer>
  /** Milliseconds since the epoch by the node's clock. */
  readonly now: () => number
}

/**
 * Trades the projected token for credentials, once.
 *
 * @throws ExchangeError whose message names role, namespace and ServiceAccount
 */
export async function exchange(
  config: ExchangerConfig,
  deps: ExchangeDeps,
): Promise<CredentialDocument> {
  const token = await deps.readToken(config.tokenFile)
  const askedAtMs = deps.now()
  refuseHopeless(config, token, askedAtMs)
  let answer: StsAnswer
  try {
    answer = await deps.assumeRole(config, token.jwt)
  } catch (error) {
    throw toExchangeError(error, config, token)
  }
  return toDocument(answer, config, askedAtMs)
}

/** `for arn:… of ServiceAccount team-a/app`: part of every message. */
function subject(config: ExchangerConfig): string {
  return `for ${config.roleArn} of ServiceAccount ${config.namespace}/${config.serviceAccount}`
}

/** What STS would refuse anyway is said at once, and in words of our own. */
function refuseHopeless(config: ExchangerConfig, { claims }: WebIdentityToken, now: number): void {
  if (!claims.audiences.includes(config.audience)) {
    const found = claims.audiences.join(', ') || 'none'
    throw new ExchangeError(
      'refused',
      'WrongAudience',
      `the token ${subject(config)} has the audience ${found}, not ${config.audience}`,
    )
  }
  // A clock that runs ahead must not stop a good token: STS has the last word near the end.
  if (claims.expiresAtMs !== undefined && claims.expiresAtMs + CLOCK_TOLERANCE_MS < now) {
    throw new ExchangeError(
      'token',
      'ExpiredToken',
      `the token ${subject(config)} ended at ${formatExpiration(claims.expiresAtMs)}`,
      { hint: 'The kubelet renews it; a new one is awaited.' },
    )
  }
}

const CLOCK_TOLERANCE_MS = 15 * 60_000

/** Texts of STS are shown, but cut, and without anything that could be a token. */
function shown(message: string): string {
  return message.replaceAll(/[\w-]{10,}\.[\w-]{10,}\.[\w-]*/g, '[token]').slice(0, 500)
}

function toExchangeError(
  error: unknown,
  config: ExchangerConfig,
  { claims }: WebIdentityToken,
): ExchangeError {
  const named = error as { name?: string; $metadata?: { httpStatusCode?: number } }
  const httpStatus = named.$metadata?.httpStatusCode
  const answered = httpStatus !== undefined && httpStatus >= 400
  const code = answered ? (named.name ?? 'Unknown') : (codeOf(error) ?? named.name ?? 'Unknown')
  const kind = kindOf({ code, httpStatus })
  const verb = kind === 'refused' ? 'STS refused the exchange' : 'the exchange failed'
  const hint = hintFor(code, config, claims)
  const details = { cause: error, ...(hint === undefined ? {} : { hint }) }
  const message = `${verb} ${subject(config)}: ${shown(messageOf(error))}`
  return new ExchangeError(kind, code, message, details)
}

/**
 * The document that is published. STS's own clock says how long the credentials live; the end is
 * written in terms of the node's clock, which is the one that SDKs compare with, counted from before
 * the request, so that a slow answer does not lengthen a life.
 */
function toDocument(
  { output, stsNowMs }: StsAnswer,
  config: ExchangerConfig,
  askedAtMs: number,
): CredentialDocument {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = output.Credentials ?? {}
  const endMs = Expiration?.getTime()
  if (
    !AccessKeyId ||
    !SecretAccessKey ||
    !SessionToken ||
    endMs === undefined ||
    Number.isNaN(endMs)
  ) {
    throw new ExchangeError(
      'transient',
      'MalformedResponse',
      `STS answered without whole credentials ${subject(config)}`,
    )
  }
  const lifeMs = endMs - (stsNowMs ?? askedAtMs)
  if (lifeMs <= 0) {
    throw new ExchangeError(
      'transient',
      'ExpiredOnArrival',
      `STS gave credentials that have ended ${subject(config)}`,
    )
  }
  return {
    Version: 1,
    AccessKeyId,
    SecretAccessKey,
    SessionToken,
    Expiration: formatExpiration(publishedExpirationMs(askedAtMs + lifeMs, lifeMs)),
    AccountId: config.roleArn.split(':')[4] ?? '',
  }
}
