import { sleepUnless, type Clock } from '../../shared/base/clock.ts'
import { messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import type { Issuer } from '../../shared/x509/certificate.ts'
import {
  previousCaOf,
  ownCertificate,
  type PreviousCa,
  type OwnCertificate,
  type OwnRequest,
} from './own-certificate.ts'
import { applyStep, nextStep, type RotationPolicy } from './rotation.ts'
import { readStoredCa } from './secret-store.ts'
import { bundleOf, readState, type CaState, type ReadState } from './state.ts'

export interface CaManagerOptions {
  readonly kube: KubeClient
  /** Path of the shared Secret. */
  readonly path: string
  readonly policy: RotationPolicy
  /** In the certificate of the authority's own server. */
  readonly serverNames: readonly string[]
  readonly clock: Clock
  readonly log: Logger
}

/** The CA that certificates are currently issued with. */
export interface ActiveCa {
  readonly issuer: Issuer
  /** Expiry of the newest root. */
  readonly rootExpiresAtMs: number
  /** PEM of every CA that peers accept. */
  readonly bundlePem: string
  /** For the authority's own server; replaced after half of its lifetime. */
  readonly server: OwnCertificate
  /** The CA before this one, as long as it signs the server's certificate. */
  readonly previous: PreviousCa | undefined
}

export interface CaManager {
  current(): ActiveCa | undefined
  /** Calls the listener with each CA that differs from the one before. */
  onChange(listener: (ca: ActiveCa) => void): void
  /** Resolves with the first CA. */
  start(): Promise<ActiveCa>
  /** Reads the Secret now, in addition to the regular checks. @throws NocredsError */
  check(): Promise<void>
  stop(): void
}

/** How often the Secret is read. */
const CHECK_MS = 60_000
/** Several checks fit into the overlap, so that each replica has seen a step before the next one. */
const CHECKS_PER_OVERLAP = 5
/** Interval after a failed check. */
const RETRY_MS = 2000
const MAX_STEPS_PER_CHECK = 5

/**
 * Manages the CA in one Secret that the replicas share. The first replica to write wins, so there is no
 * leader election. While the apiserver is unreachable, the active CA keeps signing.
 */
export function createCaManager(options: CaManagerOptions): CaManager {
  const { clock, log, policy } = options
  const checkMs = Math.min(CHECK_MS, policy.overlapMs / CHECKS_PER_OVERLAP)
  const listeners: ((ca: ActiveCa) => void)[] = []
  const first = Promise.withResolvers<ActiveCa>()
  const stopping = new AbortController()
  let current: ActiveCa | undefined
  let seenRootsPem = ''

  const check = async (): Promise<void> => {
    const state = await ensureState(options, seenRootsPem)
    seenRootsPem = state.rootsPem
    const next = await activeCaOf(state, current, options)
    if (next === current) return
    current = next
    first.resolve(next)
    for (const listener of listeners) listener(next)
    log.info({ intermediateExpiresAt: next.issuer.certificate.validTo }, 'CA loaded')
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let pauseMs = checkMs
      try {
        await check()
      } catch (error) {
        pauseMs = Math.min(RETRY_MS, checkMs)
        log.warn({ error: messageOf(error) }, 'CA sync failed')
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

/** Reads the Secret and applies the steps that are due; if another replica wrote first, its state is used. */
async function ensureState(
  { kube, path, policy, clock, log }: CaManagerOptions,
  seenRootsPem: string,
): Promise<CaState> {
  for (let step = 0; step < MAX_STEPS_PER_CHECK; step += 1) {
    const stored = await readStoredCa(kube, path)
    const observation = { nowMs: clock.now(), seenRootsPem }
    const due = nextStep(stored.state, observation, policy)
    if (due === 'up-to-date') {
      if (stored.state !== undefined) return stored.state
      continue
    }
    const next = await applyStep(due, stored.state, observation, policy)
    const wrote = await stored.replace(next)
    log.info({ step: due, wrote }, 'CA rotation step applied')
  }
  throw new NocredsError(
    'ERR_ROTATION_UNSTABLE',
    `rotation did not converge in ${MAX_STEPS_PER_CHECK} steps; check the replicas' clocks for skew`,
  )
}

/** Returns `before` itself as long as nothing changed and the server's certificate is not due for renewal. */
async function activeCaOf(
  state: CaState,
  before: ActiveCa | undefined,
  options: CaManagerOptions,
): Promise<ActiveCa> {
  const nowMs = options.clock.now()
  const read = readState(state)
  const { issuer } = read
  if (nowMs >= issuer.certificate.validToDate.getTime()) {
    throw new NocredsError(
      'ERR_ISSUER',
      'ca-signing.crt has expired; put a new one into the Secret',
    )
  }
  const bundlePem = bundleOf(state)
  const lifetimeSeconds = options.policy.leafLifetimeSeconds
  const isSame = before?.issuer.chainPem === issuer.chainPem
  const previous = previousCaOf(before, { issuer, bundlePem, nowMs, lifetimeSeconds })
  const request = { dnsNames: options.serverNames, nowMs, lifetimeSeconds }
  // A new CA is used only if what it signs can be verified.
  const own = isSame ? undefined : await ownCertificate(issuer, request)
  const server = await serverCertificate(previous?.issuer ?? issuer, [before?.server, own], request)
  const next = { issuer, bundlePem, server, previous, ...rootOf(read) }
  return before !== undefined && isUnchanged(before, next) ? before : next
}

/** The first candidate that this CA signed and that is not due for renewal; otherwise a new certificate. */
async function serverCertificate(
  signer: Issuer,
  candidates: readonly (OwnCertificate | undefined)[],
  request: OwnRequest,
): Promise<OwnCertificate> {
  const usable = candidates.find(
    (one) => one?.signedBy === signer.chainPem && request.nowMs < one.dueAtMs,
  )
  return usable ?? ownCertificate(signer, request)
}

function isUnchanged(before: ActiveCa, next: ActiveCa): boolean {
  return (
    before.issuer.chainPem === next.issuer.chainPem &&
    before.bundlePem === next.bundlePem &&
    before.server === next.server &&
    before.previous === next.previous
  )
}

function rootOf({ roots }: ReadState): { readonly rootExpiresAtMs: number } {
  return { rootExpiresAtMs: roots[0]?.validToDate.getTime() ?? 0 }
}
