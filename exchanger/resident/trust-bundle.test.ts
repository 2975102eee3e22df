import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Cancel } from '../../platform/clock.ts'
import { certificateIssued } from '../../testbed/exchanger-certificates.ts'
import { until } from '../../testbed/exchanger-pod.ts'
import { collectingLog, type LogLine } from '../../testbed/exchanger-samples.ts'
import { VirtualClock } from '../../testbed/virtual-clock.ts'
import { openTlsFolder, readCertificate, type TlsFolder } from '../publish/tls-folder.ts'
import { followTrustBundle } from './trust-bundle.ts'

const HOUR = 3_600_000
const bundle = (name: string): string => certificateIssued(0, HOUR, name).trustBundle

let folder: string
let file: string
let clock: VirtualClock
let store: TlsFolder
let lines: LogLine[]
let stop: Cancel
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-trust-'))
  file = `${folder}.mounted`
  clock = new VirtualClock()
  store = await openTlsFolder(folder, clock.now())
  await store.publish(certificateIssued(clock.now(), HOUR))
  await writeFile(file, bundle('ONE'))
  const collecting = collectingLog()
  lines = collecting.lines
  stop = followTrustBundle({ clock, file, store, log: collecting.log })
})
afterEach(async () => {
  stop()
  await rm(folder, { recursive: true })
  await rm(file, { force: true })
})

/** Until the look that is under way is over, and half a minute more. */
async function lookAgain(): Promise<void> {
  await until(() => (clock.pending > 0 ? true : undefined))
  await clock.advance(30_000)
  await until(() => (clock.pending > 0 ? true : undefined))
}

describe('a mounted trust bundle', () => {
  test('that is the same changes nothing', async () => {
    await writeFile(file, `# a comment\n${bundle('ONE')}\n`)
    await lookAgain()
    await lookAgain()
    expect(lines).toEqual([])
  })

  test('that is new reaches the app, with the key and certificate that it has', async () => {
    await lookAgain()
    const before = store.current()!
    await writeFile(file, bundle('ONE') + bundle('NEW'))
    await lookAgain()
    expect(await readCertificate(folder)).toEqual({
      ...before,
      trustBundle: bundle('ONE') + bundle('NEW'),
    })
    expect(lines).toMatchObject([{ msg: 'trust bundle replaced' }])
  })

  test.each(['', 'no PEM'])('that holds nothing is none', async (text) => {
    await lookAgain()
    await writeFile(file, text)
    await lookAgain()
    expect(store.current()!.trustBundle).toBe(bundle('ONE'))
  })

  test('that is gone or too large is awaited', async () => {
    await rm(file)
    await lookAgain()
    await writeFile(file, 'x'.repeat(300_000))
    await lookAgain()
    expect(lines).toMatchObject([{ msg: 'trust bundle not replaced' }])
    await writeFile(file, bundle('NEW'))
    await lookAgain()
    expect(store.current()!.trustBundle).toBe(bundle('NEW'))
  })

  test('is not looked at any more once it is stopped', async () => {
    await lookAgain()
    stop()
    expect(clock.pending).toBe(0)
  })
})
