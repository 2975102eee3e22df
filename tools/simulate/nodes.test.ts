/** The simulated sharing does what the real one does, to the millisecond. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  expirationOf,
  publishedExpirationMs,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import { SharedRefresh } from '../../driver/shared-refresh.ts'
import type { Store } from '../../exchanger/publish/store.ts'
import { CREDENTIALS } from '../../exchanger/sidecar/renewable.ts'
import { collectingLog, documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { mountDelayMs } from './kubelet.ts'
import { firstAfterRestartMs, RESTART_MS, runNodes } from './nodes.ts'

const HOUR = 3_600_000

/** Where the driver of the node was restarted, each pod has the same credentials in its folder. */
async function runShared(
  republishesMs: readonly number[],
  found: CredentialDocument,
  seed: number,
): Promise<number> {
  const clock = new VirtualClock(0, 1)
  const exchangesAtMs: number[] = []
  const shared = new SharedRefresh({
    renewable: CREDENTIALS,
    clock,
    random: seededRandom(seed),
    log: collectingLog().log,
    wanted: 'exchange',
    exchange() {
      exchangesAtMs.push(clock.now())
      return Promise.resolve(documentEnding(publishedExpirationMs(clock.now() + HOUR, HOUR)))
    },
    onUnwritten: () => undefined,
  })
  for (const [n, atMs] of republishesMs.entries()) {
    await clock.advance(atMs - clock.now())
    const token = { jwt: 'token', expiresAtMs: clock.now() + HOUR, serviceAccountUid: 'uid' }
    await shared.join({ uid: `pod-${n}`, store: storeOf(found), token, isServed: true })
  }
  await clock.advance(2 * HOUR)
  shared.stop()
  return exchangesAtMs[0] ?? Infinity
}

function storeOf(found: CredentialDocument): Store<CredentialDocument> {
  let current: CredentialDocument | undefined = found
  return {
    current: () => current,
    publish: (document) => Promise.resolve().then(() => void (current = document)),
    withdraw: () => Promise.resolve().then(() => void (current = undefined)),
  }
}

test('a sharing whose driver was restarted exchanges when SharedRefresh does', async () => {
  const scenario = {
    republishesMs: fc
      .array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 8 })
      .map((moments) => moments.toSorted((one, other) => one - other)),
    endMs: fc.integer({ min: 120_000, max: 55 * 60_000 }),
    seed: fc.integer(),
  }
  await fc.assert(
    fc.asyncProperty(fc.record(scenario), async ({ republishesMs, endMs, seed }) => {
      const found = documentEnding(endMs)
      const real = await runShared(republishesMs, found, seed)
      const random = seededRandom(seed)
      expect(firstAfterRestartMs(republishesMs, expirationOf(found), random)).toBe(real)
    }),
    { numRuns: 60 },
  )
})

describe('a fleet of nodes', () => {
  test('a restart of all drivers lets no credentials end, and every sharing exchanges again', () => {
    const { restarted } = runNodes(10, 1, 20)
    expect(restarted.lapses).toBe(0)
    const from = RESTART_MS / 1000
    const calls = restarted.calls.subarray(from, from + 3600).reduce((sum, one) => sum + one, 0)
    expect(calls).toBeGreaterThanOrEqual(restarted.pods)
  })

  test('the kubelet’s waits: publishes that only repeat a refusal are no exchanges', () => {
    expect([0, 1, 2, 3, 4, 5].map(mountDelayMs)).toEqual([
      15_500, 16_000, 32_000, 64_000, 122_000, 122_000,
    ])
  })
})
