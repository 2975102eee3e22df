import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Cancel } from '../../shared/base/clock.ts'
import { certificateIssued } from '../../test/fakes/exchanger-certificates.ts'
import { until } from '../../test/fakes/exchanger-pod.ts'
import { collectingLog, type LogLine } from '../../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { SidecarError } from '../failure.ts'
import { openTlsFolder, readCertificate, type TlsFolder } from '../publish/tls-folder.ts'
import { followTrustBundle } from './trust-bundle.ts'

const HOUR = 3_600_000
const HALF_MINUTE = 30_000
const bundle = (name: string): string => certificateIssued(0, HOUR, name).trustBundle

let folder: string
let file: string
let clock: VirtualClock
let store: TlsFolder
let lines: LogLine[]
let stop: Cancel
/** Responses of the authority, and the times of the requests. */
let answer: (signal: AbortSignal) => Promise<string>
let askedAtMs: number[]
let underWay: number
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-trust-'))
  file = `${folder}.mounted`
  clock = new VirtualClock()
  store = await openTlsFolder(folder, clock.now())
  await store.publish(certificateIssued(clock.now(), 10 * HOUR))
  await writeFile(file, bundle('ONE'))
  const collecting = collectingLog()
  lines = collecting.lines
  answer = () => Promise.resolve(bundle('ONE'))
  askedAtMs = []
  underWay = 0
  const startMs = clock.monotonic()
  stop = followTrustBundle({
    clock,
    random: () => 0.5,
    file,
    fetch(signal) {
      askedAtMs.push(clock.monotonic() - startMs)
      underWay += 1
      return answer(signal).finally(() => (underWay -= 1))
    },
    store,
    log: collecting.log,
  })
})
afterEach(async () => {
  stop()
  await rm(folder, { recursive: true })
  await rm(file, { force: true })
})

/** Until the current check and its query are over. */
async function untilLooked(): Promise<void> {
  await until(() => (clock.pending > 0 && underWay === 0 ? true : undefined))
}

/** Until the current check is over, and half a minute more. */
async function lookAgain(times = 1): Promise<void> {
  for (let look = 0; look < times; look += 1) {
    await untilLooked()
    await clock.advance(HALF_MINUTE)
    await untilLooked()
  }
}

describe('a mounted trust bundle', () => {
  test('that is the same changes nothing', async () => {
    await writeFile(file, `# a comment\n${bundle('ONE')}\n`)
    await lookAgain(2)
    expect(lines).toEqual([])
    expect(askedAtMs).toEqual([])
  })

  test('that is new makes the sidecar query the authority, whose response is published with key and certificate', async () => {
    await lookAgain()
    const before = store.current()!
    answer = () => Promise.resolve(bundle('ONE') + bundle('NEW'))
    await writeFile(file, bundle('ONE') + bundle('NEW'))
    await lookAgain()
    expect(await readCertificate(folder)).toEqual({
      ...before,
      trustBundle: bundle('ONE') + bundle('NEW'),
    })
    expect(lines).toMatchObject([{ msg: 'trust bundle replaced' }])
    await lookAgain(20)
    expect(askedAtMs).toHaveLength(1)
  })

  test.each([
    ['alone', bundle('EVIL')],
    ['appended', bundle('ONE') + bundle('EVIL')],
    ['put first', bundle('EVIL') + bundle('ONE')],
    ['many times', bundle('EVIL').repeat(50)],
  ])(
    'of an attacker, %s, is never published, and is queried less and less often',
    async (_, evil) => {
      await lookAgain()
      const before = await readCertificate(folder)
      await writeFile(file, evil)
      await lookAgain(120)
      expect(await readCertificate(folder)).toEqual(before)
      expect(store.current()!.trustBundle).toBe(bundle('ONE'))
      expect(lines).toEqual([])
      const pausesMs = askedAtMs.slice(1).map((ms, index) => ms - askedAtMs[index]!)
      expect(pausesMs.slice(0, 4)).toEqual([1, 2, 3, 6].map((looks) => looks * HALF_MINUTE))
      expect(Math.min(...pausesMs.slice(5))).toBeGreaterThanOrEqual(225_000)
    },
  )

  test('that the queried replica does not have yet is queried again', async () => {
    await lookAgain()
    await writeFile(file, bundle('ONE') + bundle('NEW'))
    await lookAgain()
    expect(store.current()!.trustBundle).toBe(bundle('ONE'))
    answer = () => Promise.resolve(bundle('ONE') + bundle('NEW'))
    await lookAgain(2)
    expect(store.current()!.trustBundle).toBe(bundle('ONE') + bundle('NEW'))
  })

  test('whose authority cannot be reached stays unchanged until it can', async () => {
    await lookAgain()
    answer = () => Promise.reject(new SidecarError('transient', 'CERT_SIGNATURE_FAILURE', 'no'))
    await writeFile(file, bundle('NEW'))
    await lookAgain()
    expect(store.current()!.trustBundle).toBe(bundle('ONE'))
    expect(lines).toMatchObject([
      { msg: 'trust bundle not replaced', code: 'CERT_SIGNATURE_FAILURE', error: 'no' },
    ])
    answer = () => Promise.resolve(bundle('NEW'))
    await lookAgain(2)
    expect(store.current()!.trustBundle).toBe(bundle('NEW'))
  })

  test('is not queried if nothing is published', async () => {
    await lookAgain()
    await store.withdraw(store.current()!)
    await writeFile(file, bundle('NEW'))
    await lookAgain(3)
    expect(askedAtMs).toEqual([])
  })

  test('whose response arrives after the removal is not published', async () => {
    await lookAgain()
    answer = async () => {
      await store.withdraw(store.current()!)
      return bundle('NEW')
    }
    await writeFile(file, bundle('NEW'))
    await lookAgain()
    expect(await readCertificate(folder)).toBeUndefined()
  })

  test.each(['', 'no PEM'])('that is empty is invalid', async (text) => {
    await lookAgain()
    await writeFile(file, text)
    await lookAgain()
    expect(store.current()!.trustBundle).toBe(bundle('ONE'))
    expect(askedAtMs).toEqual([])
  })

  test('that is absent or too large is awaited', async () => {
    await rm(file)
    await lookAgain()
    await writeFile(file, 'x'.repeat(300_000))
    await lookAgain()
    expect(lines).toMatchObject([{ msg: 'trust bundle not replaced' }])
    answer = () => Promise.resolve(bundle('NEW'))
    await writeFile(file, bundle('NEW'))
    await lookAgain()
    expect(store.current()!.trustBundle).toBe(bundle('NEW'))
  })

  test('is not checked any more after a stop', async () => {
    await lookAgain()
    stop()
    expect(clock.pending).toBe(0)
  })

  test.each(['after half a minute', 'when it is stopped'])(
    'whose question hangs is given up %s',
    async (when) => {
      await lookAgain()
      const signals: AbortSignal[] = []
      answer = (signal) => {
        signals.push(signal)
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reject(new SidecarError('transient', 'ExchangeKilled', 'no'))
          })
        })
      }
      await writeFile(file, bundle('NEW'))
      await clock.advance(HALF_MINUTE)
      await until(() => signals[0])
      if (when === 'when it is stopped') stop()
      else await clock.advance(HALF_MINUTE)
      expect(signals[0]!.aborted).toBe(true)
      await until(() => (underWay === 0 ? true : undefined))
      await clock.settle()
      expect(lines).toHaveLength(when === 'when it is stopped' ? 0 : 1)
    },
  )
})
