import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { parseCredentialDocument } from '../../contract/credentials.ts'
import { openStore } from './store.ts'

/** Publishes OLD, then NEW, and is killed at the given step of the second. */
const PUBLISHER = `
  import fs from 'node:fs/promises'
  import { syncBuiltinESMExports } from 'node:module'
  const [when, step, storeUrl, supportUrl, folder] = process.argv.slice(1)
  const { openStore } = await import(storeUrl)
  const { documentEnding } = await import(supportUrl)
  const store = await openStore(folder, 0)
  await store.publish(documentEnding(4e12, 'OLD'))

  const die = () => process.kill(process.pid, 'SIGKILL')
  const some = await fs.open(process.execPath)
  const owner = step === 'open' || step === 'rename' ? fs : Object.getPrototypeOf(some)
  await some.close()
  const original = owner[step]
  owner[step] = async function (...words) {
    if (when === 'before') die()
    if (when === 'half way through') {
      await this.write(words[0].slice(0, words[0].length / 2))
      die()
    }
    const result = await original.apply(this, words)
    die()
    return result
  }
  syncBuiltinESMExports()
  await store.publish(documentEnding(4e12, 'NEW'))
  console.log('not killed')`

const MODULES = ['./store.ts', '../../test/fakes/exchanger-samples.ts'].map(
  (path) => new URL(path, import.meta.url).href,
)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-killed-'))
})
afterEach(() => rm(folder, { recursive: true }))

test.each([
  ['before', 'open', 'OLD'],
  ['after', 'open', 'OLD'],
  ['before', 'writeFile', 'OLD'],
  ['half way through', 'writeFile', 'OLD'],
  ['after', 'writeFile', 'OLD'],
  ['after', 'sync', 'OLD'],
  ['before', 'rename', 'OLD'],
  ['after', 'rename', 'NEW'],
])('killed %s %s: the document is complete, and %s', async (when, step, expected) => {
  const words = ['--input-type=module', '--eval', PUBLISHER, when, step, ...MODULES, folder]
  const publisher = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const said: Buffer[] = []
  publisher.stdout.on('data', (chunk: Buffer) => said.push(chunk))
  const [, signal] = (await once(publisher, 'close')) as [number | null, string | null]
  expect([signal, Buffer.concat(said).toString()]).toEqual(['SIGKILL', ''])

  const text = await readFile(join(folder, 'credentials.json'), 'utf8')
  expect(parseCredentialDocument(text)).toMatchObject({ AccessKeyId: expected })

  expect((await openStore(folder, 0)).current()).toMatchObject({ AccessKeyId: expected })
  expect(await readdir(folder)).toEqual(['credentials.json'])
})
