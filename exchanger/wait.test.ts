import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { formatCredentialDocument } from '../contract/credentials.ts'
import type { CertificateConfig } from '../contract/exchanger-env.ts'
import { CERTIFICATE_CONFIG, certificateIssued } from '../testbed/exchanger-certificates.ts'
import { VirtualClock } from '../testbed/virtual-clock.ts'
import { CONFIG, documentEnding } from '../testbed/exchanger-samples.ts'
import { openTlsFolder } from './publish/tls-folder.ts'
import { waitUntilReady } from './wait.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-wait-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Advances until the wait is over, and says how it ended and after how long. */
async function outcome(
  delivery: 'process' | 'endpoint',
  before: (elapsedMs: number, clock: VirtualClock) => Promise<void> = () => Promise.resolve(),
): Promise<{ reason: string | undefined; elapsedMs: number }> {
  const clock = new VirtualClock()
  const over = new AbortController()
  const terminationMessageFile = join(folder, 'termination-log')
  const credentials = { ...CONFIG, credentialsFolder: folder, terminationMessageFile, delivery }
  const done = waitUntilReady({ credentials, certificate: undefined }, clock).finally(() => {
    over.abort()
  })
  let elapsedMs = 0
  for (; elapsedMs < 60_000; elapsedMs += 50) {
    await before(elapsedMs, clock)
    while (clock.pending === 0 && !over.signal.aborted) await clock.settle()
    if (over.signal.aborted) break
    await clock.advance(50)
  }
  return { reason: (await done)?.reason, elapsedMs }
}

async function publish(endMs: number): Promise<void> {
  const text = formatCredentialDocument(documentEnding(endMs))
  await writeFile(join(folder, 'credentials.json'), text)
}

describe('the gate', () => {
  test('opens once unexpired credentials are there', async () => {
    const { reason, elapsedMs } = await outcome('process', async (ms, clock) => {
      if (ms === 0) await publish(clock.now() - 1000)
      if (ms === 5000) await publish(clock.now() + 60_000)
    })
    expect(reason).toBeUndefined()
    expect(elapsedMs).toBeGreaterThanOrEqual(5000)
    expect(elapsedMs).toBeLessThan(5200)
  })

  test('waits for the authorization, too, where apps need it', async () => {
    const { reason, elapsedMs } = await outcome('endpoint', async (ms, clock) => {
      if (ms === 0) await publish(clock.now() + 600_000)
      if (ms === 3000) await writeFile(join(folder, 'authorization'), 'a'.repeat(43))
    })
    expect(reason).toBeUndefined()
    expect(elapsedMs).toBeGreaterThanOrEqual(3000)
  })

  test('stays shut once the sidecar says why it gave up', async () => {
    const { reason, elapsedMs } = await outcome('process', async (ms) => {
      if (ms === 0) await writeFile(join(folder, 'termination-log'), '')
      if (ms === 2000) await writeFile(join(folder, 'termination-log'), 'AccessDenied: no')
    })
    expect(reason).toBe('AccessDenied: no')
    expect(elapsedMs).toBeLessThan(2200)
  })

  test('stays shut after 45 s', async () => {
    const { reason, elapsedMs } = await outcome('process')
    expect(reason).toBe('see the log of the sidecar')
    expect(elapsedMs).toBeGreaterThanOrEqual(45_000)
    expect(elapsedMs).toBeLessThan(46_000)
  })
})

describe('the gate of a sidecar with a certificate', () => {
  const config = (): CertificateConfig => ({
    ...CERTIFICATE_CONFIG,
    tlsFolder: folder,
    terminationMessageFile: join(folder, 'termination-log'),
  })

  test('opens with an unexpired certificate', async () => {
    const clock = new VirtualClock()
    const store = await openTlsFolder(folder, clock.now())
    await store.publish(certificateIssued(clock.now(), 1000))
    const sidecar = { credentials: undefined, certificate: config() }
    expect(await waitUntilReady(sidecar, clock)).toBeUndefined()
    clock.jumpWall(1000)
    await writeFile(join(folder, 'termination-log'), 'not-ready: no')
    expect(await waitUntilReady(sidecar, clock)).toEqual({
      wanted: 'certificate for ServiceAccount team-a/app',
      reason: 'not-ready: no',
    })
  })

  test('waits for the credentials, too, where both are wanted', async () => {
    const clock = new VirtualClock()
    const store = await openTlsFolder(folder, clock.now())
    await store.publish(certificateIssued(clock.now(), 1000))
    await writeFile(join(folder, 'termination-log'), 'AccessDenied: no')
    const credentials = { ...CONFIG, ...config(), credentialsFolder: folder }
    const sidecar = { credentials, certificate: config() }
    expect(await waitUntilReady(sidecar, clock)).toEqual({
      wanted: `credentials of ${CONFIG.roleArn} for ServiceAccount team-a/app`,
      reason: 'AccessDenied: no',
    })
    await publish(clock.now() + 1000)
    expect(await waitUntilReady(sidecar, clock)).toBeUndefined()
    await store.withdraw(store.current()!)
    expect(await waitUntilReady(sidecar, clock)).toMatchObject({
      wanted: 'certificate for ServiceAccount team-a/app',
    })
  })
})
