import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, test } from '@jest/globals'
import { makeKubeletFolders, startDriverKubelet } from '../../test/fakes/driver-kubelet.ts'
import { POD } from '../../test/fakes/driver-samples.ts'
import {
  makeMemoryFolder,
  removeFolder,
  VOLUME,
  volumeSettings,
} from '../../test/fakes/driver-volumes.ts'
import { documentEnding } from '../../test/fakes/exchanger-samples.ts'
import { DriverError } from '../errors.ts'
import { publishCredentials, readCredentials, withdrawCredentials } from './credentials-files.ts'

const PUBLISHES = 10_000
const AT_ONCE = 8
/** A slow machine makes fewer of them. */
const MAX_MS = 60_000

/**
 * Has all rights in the pod's volume, and more: it also swaps the volume itself with a link. It writes
 * nothing through the links that it makes.
 */
const ATTACKER = `
  const fs = require('node:fs')
  const { join } = require('node:path')
  const { parentPort, workerData: { volume, outside } } = require('node:worker_threads')
  const attempt = (action) => { try { action() } catch {} }
  const tricks = [
    (path) => fs.symlinkSync(join(outside, 'treasure'), path),
    (path) => fs.symlinkSync(join(outside, 'new'), path),
    (path) => fs.symlinkSync(outside, path),
    (path) => fs.mkdirSync(path),
    (path) => fs.linkSync(join(outside, 'treasure'), path),
    (path) => fs.writeFileSync(path, 'theirs', { flag: 'wx' }),
  ]
  let stopped = false
  parentPort.once('message', () => { stopped = true })
  let turn = 0
  const step = () => {
    for (let n = 0; n < 50; n += 1) {
      turn += 1
      if (turn % 7 === 0) {
        attempt(() => fs.renameSync(volume, volume + '-away'))
        attempt(() => fs.symlinkSync(outside, volume))
        attempt(() => fs.unlinkSync(volume))
        attempt(() => fs.renameSync(volume + '-away', volume))
      }
      const temporaries = []
      attempt(() => temporaries.push(...fs.readdirSync(volume).slice(0, 20)))
      for (const name of ['credentials.json', 'config', ...temporaries]) {
        const path = join(volume, name)
        attempt(() => fs.unlinkSync(path))
        attempt(() => fs.rmdirSync(path))
        attempt(() => tricks[turn % tricks.length](path))
      }
    }
    if (stopped) process.exit()
    setImmediate(step)
  }
  step()`

test('whatever is swapped while we write, nothing outside of the volume is written', async () => {
  process.umask(0)
  const folder = await makeMemoryFolder()
  await makeKubeletFolders(folder, 'csi.nocreds.dev')
  const kubelet = startDriverKubelet({ folder, driver: 'csi.nocreds.dev', release: '1.37' })
  await kubelet.preparePod(POD, { emptyDir: VOLUME.name, csi: 'nocreds' })
  const settings = await volumeSettings(kubelet.podsFolder)
  const outside = join(folder, 'outside')
  await mkdir(outside)
  await writeFile(join(outside, 'treasure'), 'gold', { mode: 0o666 })
  const volume = join(kubelet.podsFolder, POD.uid, 'volumes/kubernetes.io~empty-dir', VOLUME.name)
  const attacker = new Worker(ATTACKER, { eval: true, workerData: { volume, outside } })

  const outcomes = new Map<string, number>()
  const until = performance.now() + MAX_MS
  let begun = 0
  const publishMany = async (): Promise<void> => {
    while (begun < PUBLISHES && performance.now() < until) {
      begun += 1
      const outcome = await attempt(begun)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  const attempt = async (number: number): Promise<string> => {
    try {
      await publishCredentials(VOLUME, documentEnding(4e12, `KEY-${number}`), settings)
      if (number % 10 === 0) await readCredentials(VOLUME, settings)
      if (number % 25 === 0) await withdrawCredentials(VOLUME, settings)
      return 'published'
    } catch (error) {
      if (!(error instanceof DriverError)) throw error
      return error.code
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, publishMany))
  } finally {
    attacker.postMessage('stop')
    await new Promise((resolve) => attacker.once('exit', resolve))
  }
  expect(await readdir(outside)).toEqual(['treasure'])
  expect(await readFile(join(outside, 'treasure'), 'utf8')).toBe('gold')
  // It was a fight: some got through, some met what the attacker put there.
  expect(outcomes.get('published')).toBeGreaterThan(0)
  expect(outcomes.get('ERR_VOLUME_OCCUPIED')).toBeGreaterThan(0)
  await removeFolder(folder)
}, 120_000)
