import type { Clock } from '../../shared/base/clock.ts'
import { NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import { createRotatingSecret, type RotatingSecret } from '../../shared/server/rotating-secret.ts'
import type { Issuer } from '../../shared/x509/issuer.ts'
import {
  previousCaOf,
  ownCertificate,
  type PreviousCa,
  type OwnCertificate,
  type OwnRequest,
} from './own-certificate.ts'
import { applyStep, nextStep, type RotationPolicy } from './rotation.ts'
import { bundleOf, CA_KEYS, readState, type CaState, type ReadState } from './state.ts'

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

export type CaManager = RotatingSecret<ActiveCa>

/** Manages the CA in one Secret that the replicas share; what fails leaves the active CA in use. */
export function createCaManager(options: CaManagerOptions): CaManager {
  const { kube, path, policy, clock, log } = options
  let seenRootsPem = ''
  return createRotatingSecret({
    kube,
    path,
    keys: CA_KEYS,
    overlapMs: policy.overlapMs,
    clock,
    log,
    messages: { applied: 'CA rotation step applied', failed: 'CA sync failed' },
    nextStep: (state: CaState | undefined, nowMs) =>
      nextStep(state, { nowMs, seenRootsPem }, policy),
    applyStep: (step, state, nowMs) => applyStep(step, state, { nowMs, seenRootsPem }, policy),
    activate(state, before: ActiveCa | undefined) {
      seenRootsPem = state.rootsPem
      return activeCaOf(state, before, options)
    },
    onActivated({ issuer }) {
      log.info({ intermediateExpiresAt: issuer.certificate.validTo }, 'CA loaded')
    },
  })
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
