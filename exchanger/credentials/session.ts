import { SidecarError } from '../failure.ts'
import { isPlausibleStsTime, lifetimeMsOf } from './lifetime.ts'
import type { StsResponse, StsSigner } from './sts.ts'
import type { Claims } from './token.ts'

/** Credentials that one step made. */
export interface Session extends StsSigner {
  /** Milliseconds since the epoch by the node's clock. */
  readonly expiresAtMs: number
  /** From the request to the expiry. */
  readonly lifetimeMs: number
}

/** What a step asked for, when, and with which token. */
interface Asked {
  /** As messages name it. */
  readonly name: string
  readonly durationSeconds: number
  /** Milliseconds since the epoch by the node's clock, before the request: a slow response extends no lifetime. */
  readonly askedAtMs: number
  readonly claims: Claims
}

/**
 * The session that STS responds with. Its expiry is by the node's clock, which SDKs compare it with.
 *
 * @throws SidecarError MalformedResponse or ExpirationOutOfBounds
 */
export function sessionFrom(
  { output, stsNowMs }: StsResponse,
  { name, durationSeconds, askedAtMs, claims }: Asked,
): Session {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = output.Credentials ?? {}
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || Expiration === undefined) {
    throw unusable(name, 'MalformedResponse', 'the response of STS has incomplete credentials')
  }
  const lifetimeMs = lifetimeMsOf({
    expiresAtMs: Expiration.getTime(),
    nodeNowMs: askedAtMs,
    stsNowMs: isPlausibleStsTime(stsNowMs, claims) ? stsNowMs : undefined,
    requestedMs: durationSeconds * 1000,
  })
  if (lifetimeMs === undefined) throw outOfBounds(name, Expiration)
  const expiresAtMs = askedAtMs + lifetimeMs
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiresAtMs,
    lifetimeMs,
    stsClockOffsetMs: Expiration.getTime() - expiresAtMs,
  }
}

function outOfBounds(name: string, expiration: Date): SidecarError {
  const text = Number.isNaN(expiration.getTime()) ? 'an invalid time' : expiration.toISOString()
  return unusable(name, 'ExpirationOutOfBounds', `STS issued credentials that expire at ${text}`)
}

function unusable(name: string, code: string, text: string): SidecarError {
  return new SidecarError('transient', code, `no exchange of ${name}: ${text}`)
}
