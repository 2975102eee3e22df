import { sleepUnless, type Clock } from '../../shared/base/clock.ts'
import { messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import type { Issuer } from '../../shared/x509/certificate.ts'
import {
  formerOf,
  IssuerError,
  ownCertificate,
  type Former,
  type OwnCertificate,
  type OwnRequest,
} from './own-certificate.ts'
import { carryOut, nextStep, type RotationPolicy } from './rotation.ts'
import { readStoredCa } from './secret-store.ts'
import { bundleOf, readState, type CaState, type ReadState } from './state.ts'

export interface KeeperOptions {
  readonly kube: KubeClient
  /** Path of the shared Secret. */
  readonly path: string
  readonly policy: RotationPolicy
  /** In the certificate of the authority's own server. */
  readonly serverNames: readonly string[]
  readonly clock: Clock
  readonly log: Logger
}

/** What certificates are issued with, at this moment. */
export interface PresentCa {
  readonly issuer: Issuer
  /** Of the newest root. */
  readonly rootExpiresAtMs: number
  /** PEM of every CA that peers accept. */
  readonly bundlePem: string
  /** For the authority's own server; replaced after half of its life. */
  readonly server: OwnCertificate
  /** The CA before, as long as it signs the server's certificate. */
  readonly former: Former | undefined
}

export interface CaKeeper {
  current(): PresentCa | undefined
  /** Called with each one that differs from the one before. */
  onChange(listener: (ca: PresentCa) => void): void
  /** Resolves with the first one. */
  start(): Promise<PresentCa>
  /** Looks at the Secret now, besides the regular checks. @throws what stands in the way */
  check(): Promise<void>
  stop(): void
}

/** How often the Secret is looked at. */
const CHECK_MS = 60_000
/** Several checks fit into the overlap, so that each replica has seen a step before the next. */
const CHECKS_PER_OVERLAP = 5
/** While something is missing. */
const RETRY_MS = 2000
const MOST_STEPS_PER_CHECK = 5

/**
 * The CA in one Secret that the replicas share; the first to write wins, so there is no leader. While
 * the apiserver is away the present CA goes on signing.
 */
export function createCaKeeper(options: KeeperOptions): CaKeeper {
  const { clock, log, policy } = options
  const checkMs = Math.min(CHECK_MS, policy.overlapMs / CHECKS_PER_OVERLAP)
  const listeners: ((ca: PresentCa) => void)[] = []
  const first = Promise.withResolvers<PresentCa>()
  const stopping = new AbortController()
  let current: PresentCa | undefined
  let seenRootsPem = ''

  const check = async (): Promise<void> => {
    const state = await ensureState(options, seenRootsPem)
    seenRootsPem = state.rootsPem
    const next = await presentOf(state, current, options)
    if (next === current) return
    current = next
    first.resolve(next)
    for (const listener of listeners) listener(next)
    log.info({ intermediateEndsAt: next.issuer.certificate.validTo }, 'CA taken')
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let pauseMs = checkMs
      try {
        await check()
      } catch (error) {
        pauseMs = Math.min(RETRY_MS, checkMs)
        log.warn({ reason: messageOf(error) }, 'the CA cannot be brought in sync')
      }
      await sleepUnless(clock, pauseMs, stopping.signal)
    }
  }

  return {
    current: () => current,
    onChange(listener) {
      listeners.push(listener)
    },
    start() {
      void run()
      return first.promise
    },
    check,
    stop() {
      stopping.abort()
    },
  }
}

class RotationError extends NocredsError<'ERR_ROTATION_RESTLESS'> {}

/** Reads the Secret and takes the steps that are due; what another replica wrote first counts. */
async function ensureState(
  { kube, path, policy, clock, log }: KeeperOptions,
  seenRootsPem: string,
): Promise<CaState> {
  for (let step = 0; step < MOST_STEPS_PER_CHECK; step += 1) {
    const stored = await readStoredCa(kube, path)
    const moment = { nowMs: clock.now(), seenRootsPem }
    const due = nextStep(stored.state, moment, policy)
    if (due === 'keep') {
      if (stored.state !== undefined) return stored.state
      continue
    }
    const next = await carryOut(due, stored.state, moment, policy)
    const wrote = await stored.replace(next)
    log.info({ step: due, wrote }, 'CA rotation')
  }
  throw new RotationError(
    'ERR_ROTATION_RESTLESS',
    'the Secret of the CA does not come to rest; do the clocks of the replicas differ?',
  )
}

/** The same object while nothing changed and the server's certificate is not due. */
async function presentOf(
  state: CaState,
  before: PresentCa | undefined,
  options: KeeperOptions,
): Promise<PresentCa> {
  const nowMs = options.clock.now()
  const read = readState(state)
  const { issuer } = read
  if (nowMs >= issuer.certificate.validToDate.getTime()) {
    throw new IssuerError('ERR_ISSUER', 'ca-signing.crt has ended; put a new one into the Secret')
  }
  const bundlePem = bundleOf(state)
  const lifetimeSeconds = options.policy.leafLifetimeSeconds
  const isSame = before?.issuer.chainPem === issuer.chainPem
  const former = formerOf(before, { issuer, bundlePem, nowMs, lifetimeSeconds })
  const request = { dnsNames: options.serverNames, nowMs, lifetimeSeconds }
  // A new CA first proves that what it signs can be verified.
  const own = isSame ? undefined : await ownCertificate(issuer, request)
  const server = await serverBy(former?.issuer ?? issuer, [before?.server, own], request)
  const next = { issuer, bundlePem, server, former, ...rootOf(read) }
  return before !== undefined && isUnchanged(before, next) ? before : next
}

/** The first of those at hand that this CA signed and that is not due; else a new one. */
async function serverBy(
  signer: Issuer,
  atHand: readonly (OwnCertificate | undefined)[],
  request: OwnRequest,
): Promise<OwnCertificate> {
  const good = atHand.find(
    (one) => one?.signedBy === signer.chainPem && request.nowMs < one.dueAtMs,
  )
  return good ?? ownCertificate(signer, request)
}

function isUnchanged(before: PresentCa, next: PresentCa): boolean {
  return (
    before.issuer.chainPem === next.issuer.chainPem &&
    before.bundlePem === next.bundlePem &&
    before.server === next.server &&
    before.former === next.former
  )
}

function rootOf({ roots }: ReadState): { readonly rootExpiresAtMs: number } {
  return { rootExpiresAtMs: roots[0]?.validToDate.getTime() ?? 0 }
}
