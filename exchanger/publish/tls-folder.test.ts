import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { codeOf } from '../../shared/base/errors.ts'
import { certificateIssued } from '../../test/fakes/exchanger-certificates.ts'
import { thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { openTlsFolder, readCertificate } from './tls-folder.ts'

const NOW = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
/** Name of the n-th generation. */
const gen = (n: number): string => `..gen-${NOW + n}`
const LINKS = ['ca.crt', 'tls.crt', 'tls.key']

/** As in a pod, without a disk. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(MEMORY, 'nocreds-tls-'))
})
afterEach(() => rm(folder, { recursive: true }))

const entries = async (): Promise<string[]> => (await readdir(folder)).sort()

describe('the folder', () => {
  test('has key, certificate and trust bundle as symlinks through the current generation', async () => {
    const store = await openTlsFolder(folder, NOW)
    expect(store.current()).toBeUndefined()
    const document = certificateIssued(NOW, HOUR)
    await store.publish(document)
    expect(store.current()).toBe(document)
    expect(await entries()).toEqual(['..data', gen(1), ...LINKS])
    expect(await readlink(join(folder, 'tls.key'))).toBe('..data/tls.key')
    expect(await readlink(join(folder, '..data'))).toBe(gen(1))
    expect(await readFile(join(folder, 'tls.key'), 'utf8')).toBe(document.key)
    expect(await readFile(join(folder, 'tls.crt'), 'utf8')).toBe(document.certificate)
    expect(await readFile(join(folder, 'ca.crt'), 'utf8')).toBe(document.trustBundle)
    expect((await stat(join(folder, 'tls.key'))).mode & 0o777).toBe(0o644)
    expect((await stat(join(folder, gen(1)))).mode & 0o777).toBe(0o755)
    expect((await lstat(join(folder, 'tls.key'))).isSymbolicLink()).toBe(true)
    expect(await readCertificate(folder)).toEqual(document)
  })

  test('keeps the generation before, and no older one', async () => {
    const store = await openTlsFolder(folder, NOW)
    for (const name of ['ONE', 'TWO', 'THREE']) {
      await store.publish(certificateIssued(NOW, HOUR, name))
    }
    expect(await entries()).toEqual(['..data', gen(2), gen(3), ...LINKS])
    expect(await readFile(join(folder, gen(2), 'tls.key'), 'utf8')).toContain('TWO')
  })

  test('starts with what an earlier process published, and without incomplete generations', async () => {
    const before = await openTlsFolder(folder, NOW)
    for (const name of ['ONE', 'TWO', 'THREE']) {
      await before.publish(certificateIssued(NOW, HOUR, name))
    }
    await mkdir(join(folder, gen(1)))
    await mkdir(join(folder, gen(4)))
    await writeFile(join(folder, gen(4), 'tls.key'), 'half')
    await writeFile(join(folder, '..data_tmp'), '')
    await rm(join(folder, 'tls.crt'))
    await writeFile(join(folder, 'foreign'), '')
    const store = await openTlsFolder(folder, NOW)
    expect(store.current()).toEqual(certificateIssued(NOW, HOUR, 'THREE'))
    expect(await entries()).toEqual(['..data', gen(2), gen(3), ...LINKS, 'foreign'].sort())
  })

  test.each(['tls.key', 'tls.crt', 'ca.crt', '.until'])(
    'a set without %s is none',
    async (name) => {
      const before = await openTlsFolder(folder, NOW)
      await before.publish(certificateIssued(NOW, HOUR))
      await rm(join(folder, gen(1), name))
      expect(await readCertificate(folder)).toBeUndefined()
      expect((await openTlsFolder(folder, NOW)).current()).toBeUndefined()
      expect(await entries()).toEqual([])
    },
  )

  test('an expired certificate is removed at startup, and by withdraw', async () => {
    const store = await openTlsFolder(folder, NOW)
    await store.publish(certificateIssued(NOW, HOUR))
    expect((await openTlsFolder(folder, NOW + HOUR)).current()).toBeUndefined()
    expect(await entries()).toEqual([])

    const [old, newer] = [certificateIssued(NOW, HOUR), certificateIssued(NOW, HOUR, 'NEWER')]
    await store.publish(old)
    await Promise.all([store.publish(newer), store.withdraw(old)])
    expect(store.current()).toBe(newer)
    const name = await readlink(join(folder, '..data'))
    await store.withdraw(newer)
    expect(store.current()).toBeUndefined()
    expect(await entries()).toEqual([])
    // A reader that knows a generation by its name sees that the next one is another.
    await store.publish(old)
    expect(await readlink(join(folder, '..data'))).not.toBe(name)
  })

  test('another trust bundle is published with the same key, certificate and expiry', async () => {
    const store = await openTlsFolder(folder, NOW)
    await store.replaceTrustBundle('nothing to give it to')
    expect(await entries()).toEqual([])
    const document = certificateIssued(NOW, HOUR)
    const { trustBundle } = certificateIssued(NOW, HOUR, 'OTHER')
    await store.publish(document)
    await store.replaceTrustBundle(document.trustBundle)
    expect(await readlink(join(folder, '..data'))).toBe(gen(1))
    await store.replaceTrustBundle(trustBundle)
    expect(await readCertificate(folder)).toEqual({ ...document, trustBundle })
    expect(store.current()).toEqual({ ...document, trustBundle })
  })

  test('a write that fails leaves the last generation, and the next one succeeds', async () => {
    const store = await openTlsFolder(folder, NOW)
    const document = certificateIssued(NOW, HOUR)
    await store.publish(document)
    await rm(join(folder, 'ca.crt'))
    await mkdir(join(folder, '..data_tmp', 'in-the-way'), { recursive: true })
    const newer = certificateIssued(NOW, HOUR, 'NEWER')
    expect(codeOf(await thrownBy(() => store.publish(newer)))).toBe('ERR_FS_EISDIR')
    expect(store.current()).toBe(document)
    expect(await readCertificate(folder)).toEqual(document)
    await rm(join(folder, '..data_tmp'), { recursive: true })
    await store.publish(newer)
    expect(await readCertificate(folder)).toEqual(newer)
  })
})

/**
 * Reads without a pause, as an app does that wants one matching set, and answers each line on stdin with
 * the number of its rounds. It ends with stdin.
 */
const READER = `
  const { realpathSync, readFileSync } = process.getBuiltinModule('fs')
  const folder = process.argv[1]
  const nameIn = (file) => readFileSync(file, 'utf8').split('\\n')[1]
  let rounds = 0
  const read = () => {
    const generation = realpathSync(folder + '/..data')
    const names = ['tls.key', 'tls.crt', 'ca.crt'].map((file) => nameIn(generation + '/' + file))
    if (new Set(names).size !== 1) throw new Error('no matching set: ' + names.join())
    nameIn(folder + '/tls.key')
    rounds += 1
  }
  let isOver = false
  process.stdin.on('data', () => process.stdout.write(rounds + '\\n'))
  process.stdin.on('end', () => (isOver = true))
  const loop = () => {
    read()
    if (!isOver) setImmediate(loop)
  }
  loop()`

test('in 1,000 swaps no reader ever misses a file, nor finds a key with another certificate', async () => {
  const store = await openTlsFolder(folder, NOW)
  await store.publish(certificateIssued(NOW, HOUR, 'N-0'))
  const reader = spawn(process.execPath, ['--eval', READER, folder])
  const closed = once(reader, 'close')
  let stderr = ''
  reader.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
  // Its answer says that no reading goes on any more that began before the last swap: an app that takes
  // longer than from one renewal to the one after the next may miss a file.
  const ask = async (): Promise<number> => {
    reader.stdin.write('.')
    const answer = await Promise.race([once(reader.stdout, 'data'), closed.then(() => [stderr])])
    return Number(String(answer[0]))
  }
  const before = await ask()
  let rounds = before
  for (let n = 1; n <= 1000; n += 1) {
    await store.publish(certificateIssued(NOW, HOUR, `N-${n}`))
    rounds = await ask()
  }
  reader.stdin.end()
  expect(await closed).toEqual([0, null])
  expect(stderr).toBe('')
  expect(rounds - before).toBeGreaterThan(500)
  expect(await readlink(join(folder, '..data'))).toBe(gen(1001))
})
