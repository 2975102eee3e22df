import { createPublicKey, X509Certificate } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import {
  createIntermediate,
  createRoot,
  issueLeaf,
  keyPemOf,
  newKey,
} from '../../shared/x509/certificate.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { applyStep, nextStep, type RotationPolicy } from './rotation.ts'
import { bundleOf, isSignedBy, readState, type CaState } from './state.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 0, 1)
/** A root of one year, so that three years see two of them replaced. */
const POLICY: RotationPolicy = {
  rootLifetimeSeconds: 365 * 86_400,
  intermediateLifetimeSeconds: 90 * 86_400,
  leafLifetimeSeconds: 86_400,
  overlapMs: 900_000,
}

async function settle(before: CaState | undefined, nowMs: number): Promise<CaState> {
  let state = before
  for (let steps = 0; steps < 5; steps += 1) {
    const step = nextStep(state, { nowMs }, POLICY)
    if (step === 'up-to-date') return state!
    state = await applyStep(step, state, { nowMs }, POLICY)
  }
  throw new Error('it does not come to rest')
}

const key = createPublicKey(await newKey())

interface Held {
  readonly chain: readonly X509Certificate[]
  readonly endsMs: number
}

function leafOf(state: CaState, nowMs: number): Held {
  const { chainPem, notAfterMs } = issueLeaf({
    issuer: readState(state).issuer,
    key,
    dnsNames: ['web'],
    nowMs,
    lifetimeSeconds: POLICY.leafLifetimeSeconds,
  })
  return { chain: splitPem(chainPem).map((pem) => new X509Certificate(pem)), endsMs: notAfterMs }
}

/** As a peer verifies it: each certificate signed by the next, the last one by a trusted root, none expired. */
function accepts(bundlePem: string, { chain }: Held, nowMs: number): boolean {
  const roots = splitPem(bundlePem).map((pem) => new X509Certificate(pem))
  const isInTime = (one: X509Certificate): boolean =>
    one.validFromDate.getTime() <= nowMs && nowMs < one.validToDate.getTime()
  return chain.every((one, index) => {
    const above = chain[index + 1]
    const signers = above === undefined ? roots.filter(isInTime) : [above]
    return isInTime(one) && signers.some((signer) => isSignedBy(one, signer))
  })
}

describe('three years', () => {
  test('every leaf is valid for its whole lifetime, with any bundle of the last 15 minutes', async () => {
    let state: CaState | undefined
    let held: Held[] = []
    let oldBundle = ''
    const roots = new Set<string>()
    const intermediates = new Set<string>()
    let mostRoots = 0
    let nowMs = START_MS
    while (nowMs < START_MS + 3 * 365 * DAY_MS) {
      state = await settle(state, nowMs)
      const bundle = bundleOf(state)
      held = held.filter(({ endsMs }) => endsMs > nowMs)
      const fresh = leafOf(state, nowMs)
      held.push(fresh)
      for (const one of held) expect(accepts(bundle, one, nowMs)).toBe(true)
      // A pod whose bundle is as old as the last look knows the new leaf's root already.
      if (oldBundle !== '') expect(accepts(oldBundle, fresh, nowMs)).toBe(true)
      expect(fresh.endsMs - nowMs).toBeGreaterThanOrEqual(86_400_000 - 61_000)
      oldBundle = bundle
      for (const pem of splitPem(bundle)) roots.add(pem)
      intermediates.add(state.chainPem)
      mostRoots = Math.max(mostRoots, splitPem(bundle).length)
      nowMs += pauseMs(state)
    }
    expect(roots.size).toBe(5) // one year each, replaced at two thirds
    expect(intermediates.size).toBeGreaterThan(18)
    expect(mostRoots).toBe(2)
  }, 60_000)
})

/** Closer looks while a root is replaced. */
function pauseMs(state: CaState): number {
  if (splitPem(state.rootsPem).length > 1) return 600_000
  return state.previousPem === '' ? 12 * HOUR_MS : 2 * HOUR_MS
}

describe('steps', () => {
  test('an empty Secret is filled with a root and an intermediate below it', async () => {
    const state = await settle(undefined, START_MS)
    const { issuer, roots } = readState(state)
    expect(roots).toHaveLength(1)
    expect(issuer.certificate.ca).toBe(true)
    expect(isSignedBy(issuer.certificate, roots[0]!)).toBe(true)
  })

  test('a new root is added first, the intermediate follows after the overlap, then the old root is removed', async () => {
    const first = await settle(undefined, START_MS)
    const dueMs = START_MS + (365 * DAY_MS * 2) / 3
    const renewed = { ...first, ...(await freshIntermediate(first, dueMs - HOUR_MS)) }
    const joined = await settle(renewed, dueMs)
    expect(splitPem(bundleOf(joined))).toHaveLength(2)
    expect(joined.chainPem).toBe(renewed.chainPem)
    const signing = await settle(joined, dueMs + POLICY.overlapMs)
    expect(signing.chainPem).not.toBe(joined.chainPem)
    expect(splitPem(bundleOf(signing))).toHaveLength(2)
    const lastLeafEndsMs = dueMs + 2 * POLICY.overlapMs + DAY_MS
    expect(splitPem(bundleOf(await settle(signing, lastLeafEndsMs - 1000)))).toHaveLength(2)
    expect(splitPem(bundleOf(await settle(signing, lastLeafEndsMs)))).toHaveLength(1)
  })

  async function freshIntermediate(
    state: CaState,
    nowMs: number,
  ): Promise<Pick<CaState, 'chainPem' | 'keyPem'>> {
    const { root } = readState(state)
    const issuer = await createIntermediate(root!, nowMs, POLICY.intermediateLifetimeSeconds)
    return { chainPem: issuer.chainPem, keyPem: keyPemOf(issuer.key) }
  }

  test('a CA of the operator is kept, and the replaced roots stay until their last leaf has expired', async () => {
    const own = async (): Promise<CaState> => {
      const { rootsPem, chainPem, keyPem } = await applyStep(
        'reset',
        undefined,
        { nowMs: START_MS },
        POLICY,
      )
      return {
        rootsPem,
        chainPem,
        keyPem,
        rootCertPem: '',
        rootKeyPem: '',
        previousPem: '',
        previousUntil: '',
      }
    }
    const [before, after] = [await own(), await own()]
    expect(nextStep(before, { nowMs: START_MS + 80 * DAY_MS }, POLICY)).toBe('up-to-date')
    const moment = { nowMs: START_MS, seenRootsPem: before.rootsPem }
    expect(nextStep(after, moment, POLICY)).toBe('keep-previous')
    const kept = await applyStep('keep-previous', after, moment, POLICY)
    expect(bundleOf(kept)).toBe(after.rootsPem + before.rootsPem)
    expect(nextStep(kept, moment, POLICY)).toBe('up-to-date')
    const endMs = START_MS + POLICY.overlapMs + DAY_MS
    expect(nextStep(kept, { nowMs: endMs, seenRootsPem: after.rootsPem }, POLICY)).toBe(
      'drop-previous',
    )
    const dropped = await applyStep('drop-previous', kept, { nowMs: endMs }, POLICY)
    expect(bundleOf(dropped)).toBe(after.rootsPem)
  })

  test('what cannot be used is never overwritten', async () => {
    const good = await settle(undefined, START_MS)
    const other = await createRoot(START_MS, 86_400)
    for (const broken of [
      { ...good, keyPem: 'x' },
      { ...good, keyPem: keyPemOf(other.key) },
      { ...good, rootsPem: other.chainPem },
      { ...good, rootsPem: '' },
      { ...good, chainPem: '' },
      { ...good, rootKeyPem: 'x' },
    ]) {
      expect(() => nextStep(broken, { nowMs: START_MS }, POLICY)).toThrow(
        expect.objectContaining({ code: 'ERR_CA_STATE' }),
      )
    }
  })
})
