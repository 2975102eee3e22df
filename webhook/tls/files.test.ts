import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { jsonLogger } from '../../shared/base/log.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createCa, issueLeaf, type Issued } from './certificates.ts'
import { createFilesSource } from './files.ts'
import type { ServingCertificateSource } from './source.ts'

const LOOK_MS = 5000

/** Leaf and CA in one chain, as cert-manager writes them. */
let pairs: readonly Issued[]
let folder: string
let clock: VirtualClock
let source: ServingCertificateSource
let logged: string[]

beforeAll(async () => {
  const of = { nowMs: Date.now(), lifetimeSeconds: 3600 }
  const ca = await createCa(of)
  pairs = await Promise.all(
    ['a.example', 'b.example', 'c.example'].map(async (name) => {
      const leaf = await issueLeaf({ ...of, ca, dnsNames: [name] })
      return { certPem: leaf.certPem + ca.certPem, keyPem: leaf.keyPem }
    }),
  )
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-files-'))
  clock = new VirtualClock()
  logged = []
  source = newSource()
})

afterEach(async () => {
  source.stop()
  await rm(folder, { recursive: true })
})

function newSource(): ServingCertificateSource {
  return createFilesSource({
    certFile: join(folder, 'tls.crt'),
    keyFile: join(folder, 'tls.key'),
    clock,
    log: jsonLogger(
      (line) => logged.push(line),
      () => 0,
    ),
  })
}

const pair = (index: number): Issued => pairs[index]!
const write = (name: 'tls.crt' | 'tls.key', text: string): Promise<void> =>
  writeFile(join(folder, name), text)

async function writePair({ certPem, keyPem }: Issued): Promise<void> {
  await write('tls.crt', certPem)
  await write('tls.key', keyPem)
}

/** The next look, to its end: then the one after it is planned. */
async function look(): Promise<void> {
  await clock.advance(LOOK_MS)
  await eventually(() => clock.pending === 1)
}

const warnings = (): string[] => logged.filter((line) => line.includes('"warn"'))

describe('at the start', () => {
  test('loads the pair and logs its expiration', async () => {
    await writePair(pair(0))
    expect(source.ready).toBe(false)
    const first = await source.start()
    expect(first).toMatchObject(pair(0))
    expect(first.expiresAtMs).toBeGreaterThan(Date.now())
    expect(source.ready).toBe(true)
    expect(source.current()).toBe(first)
  })

  test.each([
    ['no certificate', () => rm(join(folder, 'tls.crt')), /--tls-cert \S+tls\.crt .*ENOENT/],
    ['no key', () => rm(join(folder, 'tls.key')), /--tls-key \S+tls\.key .*ENOENT/],
    ['no PEM', () => write('tls.crt', 'text'), /tls\.crt.*not PEM of an X\.509 certificate/],
    ['no key PEM', () => write('tls.key', 'text'), /tls\.key: the key is not PEM/],
    ['a foreign key', () => write('tls.key', pair(1).keyPem), /does not belong/],
    [
      'half a chain',
      () => write('tls.crt', pair(0).certPem.slice(0, -200)),
      /chain cannot be used/,
    ],
  ])('%s is a usage error that names the file', async (_what, spoil, message) => {
    await writePair(pair(0))
    await spoil()
    await expect(source.start()).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringMatching(message) as unknown,
    })
    expect([source.ready, clock.pending]).toEqual([false, 0])
  })
})

describe('while it runs', () => {
  beforeEach(async () => {
    await writePair(pair(0))
    await source.start()
  })

  test('takes a new pair and tells its listeners, once', async () => {
    const heard: string[] = []
    source.onChange(({ certPem }) => heard.push(certPem))
    await look()
    expect(heard).toEqual([])
    await writePair(pair(1))
    await look()
    await look()
    expect(heard).toEqual([pair(1).certPem])
    expect(source.current()).toMatchObject(pair(1))
  })

  test('takes what the kubelet swaps in by its symlink', async () => {
    const mount = async (version: string, { certPem, keyPem }: Issued): Promise<void> => {
      await mkdir(join(folder, version))
      await writeFile(join(folder, version, 'tls.crt'), certPem)
      await writeFile(join(folder, version, 'tls.key'), keyPem)
      await symlink(version, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    await mount('..1', pair(1))
    for (const name of ['tls.crt', 'tls.key']) {
      await rm(join(folder, name))
      await symlink(`..data/${name}`, join(folder, name))
    }
    await look()
    expect(source.current()).toMatchObject(pair(1))
    await mount('..2', pair(2))
    await look()
    expect(source.current()).toMatchObject(pair(2))
  })

  test('warns of the same trouble once, without a word of the key', async () => {
    await write('tls.key', pair(1).keyPem)
    for (let count = 0; count < 3; count += 1) await look()
    expect(warnings()).toHaveLength(1)
    await rm(join(folder, 'tls.key'))
    await look()
    expect(warnings()).toHaveLength(2)
    await writePair(pair(1))
    await look()
    expect(source.current()).toMatchObject(pair(1))
    expect(logged.join('')).not.toContain('PRIVATE KEY')
  })
})

test('stop ends polling, even during a poll', async () => {
  clock = new VirtualClock(undefined, 0) // returns while the look is still reading
  source = newSource()
  await writePair(pair(0))
  await source.start()
  await writePair(pair(1))
  const seen = new Promise((resolve) => {
    source.onChange(resolve)
  })
  await clock.advance(LOOK_MS)
  expect([source.current()?.certPem, clock.pending]).toEqual([pair(0).certPem, 0])
  source.stop()
  await seen
  await setImmediate()
  expect(clock.pending).toBe(0)
})

/** A step of somebody who writes a pair: the first `part` of one of its files. */
const writing = fc.record({
  index: fc.integer({ min: 0, max: 2 }),
  name: fc.constantFrom('tls.crt' as const, 'tls.key' as const),
  part: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
})

test('half-written files never lead to a mixed pair; a complete pair is loaded', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(writing, { minLength: 1, maxLength: 8 }), async (steps) => {
      source.stop()
      clock = new VirtualClock()
      source = newSource()
      await writePair(pair(0))
      await source.start()
      for (const { index, name, part } of steps) {
        const whole = name === 'tls.crt' ? pair(index).certPem : pair(index).keyPem
        await write(name, whole.slice(0, Math.round(whole.length * part)))
        await look()
        // Of a chain that was cut between two certificates the leaf alone is good enough.
        const served = source.current()!
        const of = pairs.find(({ certPem }) => certPem.startsWith(served.certPem.trimEnd()))
        expect(served.keyPem.trimEnd()).toBe(of?.keyPem.trimEnd())
      }
      await writePair(pair(2))
      await look()
      expect(source.current()).toMatchObject(pair(2))
    }),
    { numRuns: 40 },
  )
})
