import { X509Certificate } from 'node:crypto'
import { createIntermediate, createRoot, keyPemOf } from '../../shared/x509/certificate.ts'
import type { Issuer } from '../../shared/x509/issuer.ts'
import { isRenewalDue, isExpired, issuedAtMs } from '../../shared/x509/lifetime.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { bundleOf, isSignedBy, readState, type CaState, type ReadState } from './state.ts'

export interface RotationPolicy {
  readonly rootLifetimeSeconds: number
  readonly intermediateLifetimeSeconds: number
  /** Longest lifetime of a leaf. */
  readonly leafLifetimeSeconds: number
  /** Time that a bundle takes to reach every pod, and the Secret to reach every replica. */
  readonly overlapMs: number
}

/** When a replica reads the Secret, and what it read before. */
export interface Observation {
  readonly nowMs: number
  /** The roots that it read last; the CA may have been replaced since. */
  readonly seenRootsPem?: string
}

/**
 * One step of a rotation. A root is replaced without a gap in this order: the new root is added to the
 * bundle; after the overlap the intermediate is issued from it; the old root is removed from the bundle once
 * the last leaf below it has expired. The same happens if an operator puts another CA into the Secret.
 */
export type RotationStep =
  'up-to-date' | 'reset' | 'add-root' | 'renew-intermediate' | 'keep-previous' | 'drop-previous'

/**
 * Decides which step is due. Pure: each replica that reads the same Secret decides the same.
 *
 * @throws NocredsError `ERR_CA_STATE` if the Secret is invalid and must be left to the operator
 */
export function nextStep(
  state: CaState | undefined,
  { nowMs, seenRootsPem = '' }: Observation,
  policy: RotationPolicy,
): RotationStep {
  if (state === undefined) return 'reset'
  const read = readState(state)
  if (read.root !== undefined && isExpired(read.root.certificate, nowMs)) return 'reset'
  if (missingFrom(state, seenRootsPem, nowMs).length > 0) return 'keep-previous'
  const { root } = read
  if (root !== undefined) {
    if (isRenewalDue(root.certificate, nowMs)) return 'add-root'
    if (isIntermediateDue(read, root.certificate, nowMs, policy)) return 'renew-intermediate'
  }
  return read.previous.length > 0 && nowMs >= read.previousUntilMs ? 'drop-previous' : 'up-to-date'
}

function isIntermediateDue(
  { issuer }: ReadState,
  root: X509Certificate,
  nowMs: number,
  policy: RotationPolicy,
): boolean {
  if (isExpired(issuer.certificate, nowMs)) return true
  if (isSignedBy(issuer.certificate, root)) return isRenewalDue(issuer.certificate, nowMs)
  return nowMs >= issuedAtMs(root) + policy.overlapMs
}

/** Returns the state after one step. */
export async function applyStep(
  step: Exclude<RotationStep, 'up-to-date'>,
  state: CaState | undefined,
  { nowMs, seenRootsPem = '' }: Observation,
  policy: RotationPolicy,
): Promise<CaState> {
  if (state === undefined || step === 'reset') return createCa(nowMs, policy)
  switch (step) {
    case 'add-root': {
      const root = await createRoot(nowMs, policy.rootLifetimeSeconds)
      return {
        ...state,
        rootCertPem: root.chainPem,
        rootKeyPem: keyPem(root),
        rootsPem: root.chainPem + state.rootsPem,
      }
    }
    case 'renew-intermediate':
      return renewIntermediate(state, nowMs, policy)
    case 'keep-previous': {
      const kept = [...splitPem(state.previousPem), ...missingFrom(state, seenRootsPem, nowMs)]
      return { ...state, previousPem: kept.join(''), previousUntil: untilOf(nowMs, policy) }
    }
    case 'drop-previous':
      return { ...state, previousPem: '', previousUntil: '' }
  }
}

async function createCa(nowMs: number, policy: RotationPolicy): Promise<CaState> {
  const root = await createRoot(nowMs, policy.rootLifetimeSeconds)
  const issuer = await createIntermediate(root, nowMs, policy.intermediateLifetimeSeconds)
  return {
    rootsPem: root.chainPem,
    rootCertPem: root.chainPem,
    rootKeyPem: keyPem(root),
    chainPem: issuer.chainPem,
    keyPem: keyPem(issuer),
    previousPem: '',
    previousUntil: '',
  }
}

async function renewIntermediate(
  state: CaState,
  nowMs: number,
  policy: RotationPolicy,
): Promise<CaState> {
  const { root } = readState(state)
  if (root === undefined) return state
  const issuer = await createIntermediate(root, nowMs, policy.intermediateLifetimeSeconds)
  const next = { ...state, chainPem: issuer.chainPem, keyPem: keyPem(issuer) }
  const [, ...olderRoots] = splitPem(state.rootsPem)
  if (olderRoots.length === 0) return next
  return {
    ...next,
    rootsPem: root.chainPem,
    previousPem: [...olderRoots, ...splitPem(state.previousPem)].join(''),
    previousUntil: untilOf(nowMs, policy),
  }
}

/** A replica may sign with the old intermediate for another overlap, and its last leaf must expire first. */
function untilOf(nowMs: number, policy: RotationPolicy): string {
  const ms = nowMs + policy.overlapMs + policy.leafLifetimeSeconds * 1000
  return new Date(ms).toISOString()
}

/** Roots that the operator removed from the Secret while leaves below them may still be in use. */
function missingFrom(state: CaState, seenRootsPem: string, nowMs: number): string[] {
  if (state.rootKeyPem !== '') return []
  const present = splitPem(bundleOf(state))
  return splitPem(bundleOf({ ...state, rootsPem: seenRootsPem, previousPem: '' })).filter(
    (pem) => !present.includes(pem) && isStillValid(pem, nowMs),
  )
}

function isStillValid(pem: string, nowMs: number): boolean {
  return !isExpired(new X509Certificate(pem), nowMs)
}

function keyPem(issuer: Issuer): string {
  return keyPemOf(issuer.key)
}
