import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { formatCredentialDocument } from '../contract/credentials.ts'
import type { CertificateConfig, SidecarConfig } from '../contract/exchanger-env.ts'
import { CERTIFICATE_CONFIG, certificateIssued } from '../test/fakes/exchanger-certificates.ts'
import { CONFIG, documentEnding } from '../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../test/fakes/virtual-clock.ts'
import { SidecarError } from './failure.ts'
import { openTlsFolder } from './publish/tls-folder.ts'
import { writeTerminationMessage } from './sidecar/termination.ts'
import { missing, waitUntilReady, type NotReady } from './wait.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-wait-'))
})
afterEach(() => rm(folder, { recursive: true }))

const messageFile = (): string => join(folder, 'termination-log')

/** Advances until the wait is over; returns its result and duration. */
async function outcome(
  delivery: 'process' | 'endpoint',
  before: (elapsedMs: number, clock: VirtualClock) => Promise<void> = () => Promise.resolve(),
): Promise<{ reason: string | undefined; elapsedMs: number }> {
  const clock = new VirtualClock()
  const over = new AbortController()
  const credentials = { ...CONFIG, credentialsFolder: folder, delivery }
  const sidecar = { credentials, certificate: undefined }
  const done = waitUntilReady(sidecar, { clock, terminationMessageFile: messageFile() }).finally(
    () => {
      over.abort()
    },
  )
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

  test('waits for the authorization, too, if apps need it', async () => {
    const { reason, elapsedMs } = await outcome('endpoint', async (ms, clock) => {
      if (ms === 0) await publish(clock.now() + 600_000)
      if (ms === 3000) await writeFile(join(folder, 'authorization'), 'a'.repeat(43))
    })
    expect(reason).toBeUndefined()
    expect(elapsedMs).toBeGreaterThanOrEqual(3000)
  })

  test('that has opened before opens after 45 s, whatever is missing', async () => {
    await outcome('process', (_, clock) => publish(clock.now() + 1000))
    await rm(join(folder, 'credentials.json'))
    const { reason, elapsedMs } = await outcome('process')
    expect(reason).toBeUndefined()
    expect(elapsedMs).toBeGreaterThanOrEqual(45_000)
  })

  test('stays closed once the sidecar says why it gave up', async () => {
    const { reason, elapsedMs } = await outcome('process', async (ms) => {
      if (ms === 0) await writeFile(join(folder, 'termination-log'), '')
      if (ms === 2000) await writeFile(join(folder, 'termination-log'), 'AccessDenied: no')
    })
    expect(reason).toBe('AccessDenied: no')
    expect(elapsedMs).toBeLessThan(2200)
  })

  test.each([
    ['a token', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln'],
    ['a token behind a code', 'Code: eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln'],
    ['credentials', '{"Version":1,"SecretAccessKey":"hidden"}'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n'],
    ['a key behind a code', 'Code: -----BEGIN PRIVATE KEY----- hidden'],
    ['the authorization of the endpoint', 'a'.repeat(43)],
    ['lines', 'Code: one\ntwo'],
    ['more than a message', `Code: ${'a'.repeat(2048)}`],
    ['a message that is not whole yet', 'AccessDenied'],
  ])('prints nothing of a file that is not a message: %s', async (_, content) => {
    const { reason } = await outcome('process', async (ms) => {
      if (ms === 0) await writeFile(messageFile(), content)
    })
    expect(reason).toBe('see the log of the sidecar')
  })

  test('prints the message of the sidecar, whatever STS responded', async () => {
    await writeFile(messageFile(), '')
    const error = new SidecarError('refused', 'AccessDenied', 'no\u001b[31m\nred', 'Look €.')
    await writeTerminationMessage(messageFile(), error)
    const { reason } = await outcome('process')
    expect(reason).toBe('AccessDenied: no [31m red. Hint: Look €.')
  })

  test('the message is written into the file of the kubelet, and no other file is created', async () => {
    const error = new SidecarError('refused', 'AccessDenied', 'no')
    await expect(writeTerminationMessage(messageFile(), error)).rejects.toMatchObject({
      code: 'ENOENT',
    })
  })

  test('one check, for the startup probe: says what is missing, and ignores what has expired', async () => {
    const clock = new VirtualClock()
    const credentials = { ...CONFIG, credentialsFolder: folder, delivery: 'process' as const }
    const look = (): Promise<string | undefined> =>
      missing({ credentials, certificate: undefined }, clock)
    expect(await look()).toBe(`credentials of ${CONFIG.roleArn} for ServiceAccount team-a/app`)
    await publish(clock.now() - 1000)
    expect(await look()).toBeDefined()
    await publish(clock.now() + 1000)
    expect(await look()).toBeUndefined()
  })

  test('waits for every role of the pod, and names the one that is missing', async () => {
    const clock = new VirtualClock()
    const [second, third] = [`${CONFIG.roleArn}-2`, `${CONFIG.roleArn}-3`]
    const credentialsFolder = join(folder, 'aws')
    const credentials = { ...CONFIG, credentialsFolder, containerRoleArns: [second, third] }
    const look = (): Promise<string | undefined> =>
      missing({ credentials, certificate: undefined }, clock)
    const text = formatCredentialDocument(documentEnding(clock.now() + 1000))
    const roles = [CONFIG.roleArn, second, third].map((role, slot) => ({
      role,
      file: join(folder, slot === 0 ? 'aws' : `aws-${slot}`),
    }))
    for (const { role, file } of roles) {
      expect(await look()).toBe(`credentials of ${role} for ServiceAccount team-a/app`)
      await mkdir(file)
      await writeFile(join(file, 'credentials.json'), text)
    }
    expect(await look()).toBeUndefined()
  })

  test('stays closed after 45 s', async () => {
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
  })
  const ready = (sidecar: SidecarConfig, clock: VirtualClock): Promise<NotReady | undefined> =>
    waitUntilReady(sidecar, { clock, terminationMessageFile: messageFile() })

  test('opens with an unexpired certificate', async () => {
    const clock = new VirtualClock()
    const store = await openTlsFolder(folder, clock.now())
    await store.publish(certificateIssued(clock.now(), 1000))
    const sidecar = { credentials: undefined, certificate: config() }
    expect(await ready(sidecar, clock)).toBeUndefined()
    clock.jumpWall(1000)
    await writeFile(join(folder, 'termination-log'), 'not-ready: no')
    expect(await ready(sidecar, clock)).toEqual({
      wanted: 'certificate for ServiceAccount team-a/app',
      reason: 'not-ready: no',
    })
  })

  test('waits for the credentials, too, if both are requested', async () => {
    const clock = new VirtualClock()
    const store = await openTlsFolder(folder, clock.now())
    await store.publish(certificateIssued(clock.now(), 1000))
    await writeFile(join(folder, 'termination-log'), 'AccessDenied: no')
    const credentials = { ...CONFIG, credentialsFolder: folder }
    const sidecar = { credentials, certificate: config() }
    expect(await ready(sidecar, clock)).toEqual({
      wanted: `credentials of ${CONFIG.roleArn} for ServiceAccount team-a/app`,
      reason: 'AccessDenied: no',
    })
    await publish(clock.now() + 1000)
    expect(await ready(sidecar, clock)).toBeUndefined()
    await store.withdraw(store.current()!)
    expect(await ready(sidecar, clock)).toMatchObject({
      wanted: 'certificate for ServiceAccount team-a/app',
    })
  })
})
