import { AUTHORITY } from '../../contract/certificates.ts'
import {
  formatExpiration,
  publishedExpirationMs,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import { SidecarError, nameOf } from '../failure.ts'
import { faultOf } from './faults.ts'
import { routeHintFor } from './route-hints.ts'
import { sessionFrom, type Session } from './session.ts'
import type { Step, StepInput } from './steps/step.ts'
import { stepsOf } from './steps/steps.ts'
import type { StsRequest, StsResponse } from './sts.ts'
import type { Claims, WebIdentityToken } from './token.ts'

export interface ExchangeDeps {
  /** @throws SidecarError */
  readonly readToken: () => Promise<WebIdentityToken>
  /** Sends one request, signed by the session if there is one. Throws the SDK's errors. */
  readonly send: (
    config: ExchangeConfig,
    request: StsRequest,
    signer: Session | undefined,
  ) => Promise<StsResponse>
  /** Milliseconds since the epoch by the node's clock. */
  readonly now: () => number
  /** Undefined: the session before the last step is made for this exchange alone. */
  readonly lend?: Lend
}

/** Gets the session before the last step, by `make` or from somebody who made the same, and uses it for that step. */
export type Lend = (
  make: () => Promise<Session>,
  use: (session: Session) => Promise<Session>,
) => Promise<Session>

const lendNew: Lend = async (make, use) => use(await make())

/** Tolerated error of the node's clock: a token near its expiry is left to STS to judge. */
const CLOCK_TOLERANCE_MS = 15 * 60_000

/**
 * Exchanges the projected token for credentials, once: one step after the other.
 *
 * @throws SidecarError whose message names the role of the step that failed, namespace and ServiceAccount
 */
export async function exchange(
  config: ExchangeConfig,
  deps: ExchangeDeps,
): Promise<CredentialDocument> {
  const token = await deps.readToken()
  refuseUnusableToken(config, token.claims, deps.now())
  const { before, last } = stepsOf(config)
  const run = (step: Step, previous?: Session): Promise<Session> =>
    runStep(step, { token, previous }, config, deps)
  const [first, ...more] = before
  if (first === undefined) return toDocument(await run(last), last)
  const make = (): Promise<Session> =>
    more.reduce(async (previous, step) => run(step, await previous), run(first))
  const session = await (deps.lend ?? lendNew)(make, (previous) => run(last, previous))
  return toDocument(session, last)
}

async function runStep(
  step: Step,
  input: StepInput,
  config: ExchangeConfig,
  { send, now }: ExchangeDeps,
): Promise<Session> {
  const { claims } = input.token
  const request = step.request(input)
  const askedAtMs = now()
  let response: StsResponse
  try {
    response = await send(config, request, input.previous)
  } catch (thrown) {
    const { code, failureClass, text, bySts } = faultOf(thrown, step, secretsOf(input))
    const verb = failureClass === 'refused' && bySts ? 'STS refused' : 'no exchange of'
    const hint = step.hintFor(code, claims) ?? routeHintFor(code, config)
    throw new SidecarError(failureClass, code, `${verb} ${step.name}: ${text}`, hint)
  }
  const { name, durationSeconds } = step
  return sessionFrom(response, { name, durationSeconds, askedAtMs, claims })
}

/** What was sent, and a response may repeat: some STSes quote the request whose signature is wrong. */
function secretsOf({ token, previous }: StepInput): string[] {
  if (previous === undefined) return [token.jwt]
  return [previous.sessionToken, previous.secretAccessKey]
}

/** Refuses a token that STS would certainly refuse, immediately and with a plainer message. */
function refuseUnusableToken(config: ExchangeConfig, claims: Claims, nowMs: number): void {
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

/** The document to publish: the session of the last step. */
function toDocument(session: Session, { roleArn }: Step): CredentialDocument {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs, lifetimeMs } = session
  return {
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    SessionToken: sessionToken,
    Expiration: formatExpiration(publishedExpirationMs(expiresAtMs, lifetimeMs)),
    AccountId: parseRoleArn(roleArn)?.accountId ?? '',
  }
}
