import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { formatCredentialDocument, parseCredentialDocument } from '../../contract/credentials.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { documentEnding, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { writeConfigFile } from './config-file.ts'
import { openStore } from './store.ts'

const NOW = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-store-'))
  file = join(folder, 'credentials.json')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('the store', () => {
  test('publishes one document that everyone may read', async () => {
    const store = await openStore(folder, NOW)
    expect(store.current()).toBeUndefined()
    const document = documentEnding(NOW + HOUR)
    await store.publish(document)
    expect(store.current()).toBe(document)
    expect(await readFile(file, 'utf8')).toBe(formatCredentialDocument(document))
    expect((await stat(file)).mode & 0o777).toBe(0o644)
    expect(await readdir(folder)).toEqual(['credentials.json'])
  })

  test('continues with what an earlier process published', async () => {
    const document = documentEnding(NOW + HOUR)
    await (await openStore(folder, NOW)).publish(document)
    expect((await openStore(folder, NOW)).current()).toEqual(document)
  })

  test.each([
    ['ended', formatCredentialDocument(documentEnding(NOW))],
    ['no document', '{"Version":1'],
    ['far too large', 'x'.repeat(100_000)],
  ])('removes at startup a document that is %s', async (_what, text) => {
    await writeFile(file, text)
    expect((await openStore(folder, NOW)).current()).toBeUndefined()
    expect(await readdir(folder)).toEqual([])
  })

  test('removes incomplete files of a killed process, and nothing else', async () => {
    await writeFile(join(folder, '.credentials.json.0123456789ab'), '{"Version"')
    await writeFile(join(folder, '.app.0123456789ab'), 'of someone else')
    await openStore(folder, NOW)
    expect(await readdir(folder)).toEqual(['.app.0123456789ab'])
  })

  test('removes the given document, not a later one', async () => {
    const store = await openStore(folder, NOW)
    const [old, newer] = [documentEnding(NOW + 1000, 'OLD'), documentEnding(NOW + HOUR, 'NEWER')]
    await store.publish(old)
    await Promise.all([store.publish(newer), store.withdraw(old)])
    expect(store.current()).toBe(newer)
    expect(parseCredentialDocument(await readFile(file, 'utf8'))).toEqual(newer)
    await store.withdraw(newer)
    expect(store.current()).toBeUndefined()
    expect(await readdir(folder)).toEqual([])
  })

  test('makes one change at a time, in the order of calls', async () => {
    const store = await openStore(folder, NOW)
    const document = documentEnding(NOW + HOUR)
    await Promise.all([store.publish(document), store.withdraw(document)])
    expect(store.current()).toBeUndefined()
    expect(await readdir(folder)).toEqual([])
  })

  test('a write that fails leaves the last document, and the next one succeeds', async () => {
    const store = await openStore(folder, NOW)
    const document = documentEnding(NOW + HOUR)
    await store.publish(document)
    await rm(folder, { recursive: true })
    expect(codeOf(await thrownBy(() => store.publish(documentEnding(NOW, 'X'))))).toBe('ENOENT')
    expect(store.current()).toBe(document)
  })
})

test('the config file names the document in both of the profiles that SDKs look for', async () => {
  await writeConfigFile(folder, folder)
  const line = `credential_process = cat ${file}`
  expect(await readFile(join(folder, 'config'), 'utf8')).toBe(
    `[default]\n${line}\n\n[profile default]\n${line}\n`,
  )
})

/** Publishes documents of changing size as fast as it can, until it is killed. */
const PUBLISHER = `
  const [store, support] = await Promise.all(process.argv.slice(1, 3).map((url) => import(url)))
  const opened = await store.openStore(process.argv[3], 0)
  for (let n = 0; ; n += 1) {
    await opened.publish(support.documentEnding(4e12, 'K'.repeat(1 + (n * 997) % 3000)))
    if (n === 3) process.stdout.write('publishing')
  }`

test('killed at any point of publishing, no reader ever sees half a document', async () => {
  const modules = ['./store.ts', '../../test/fakes/exchanger-samples.ts'].map((path) =>
    new URL(path, import.meta.url).toString(),
  )
  let reads = 0
  const done = new AbortController()
  const reader = (async () => {
    while (!done.signal.aborted) {
      const text = await readFile(file, 'utf8').catch(() => undefined)
      if (text === undefined) await pause(1)
      else reads += parseCredentialDocument(text).Version
    }
  })()
  const kills = 25
  for (let kill = 0; kill < kills; kill += 1) {
    const words = ['--input-type=module', '--eval', PUBLISHER, ...modules, folder]
    const publisher = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(publisher.stdout, 'data')
    await pause(1 + ((kill * 7) % 11))
    publisher.kill('SIGKILL')
    await once(publisher, 'close')
    parseCredentialDocument(await readFile(file, 'utf8'))
  }
  done.abort()
  await reader
  expect(reads).toBeGreaterThan(kills)
  expect((await openStore(folder, NOW)).current()).toBeDefined()
  expect(await readdir(folder)).toEqual(['credentials.json'])
})
