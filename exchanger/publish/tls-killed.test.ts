import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { certificateIssued } from '../../test/fakes/exchanger-certificates.ts'
import { openTlsFolder, readCertificate } from './tls-folder.ts'

/** 2096: independent of the publisher's clock. */
const LATE = 4e12
const HOUR = 3_600_000

/**
 * Publishes OLD, then NEW, and is killed before the n-th call into the file system that the second one
 * makes; says "not killed" where there are fewer.
 */
const PUBLISHER = `
  import fs from 'node:fs/promises'
  import { syncBuiltinESMExports } from 'node:module'
  const [at, folderUrl, supportUrl, folder] = process.argv.slice(1)
  const { openTlsFolder } = await import(folderUrl)
  const { certificateIssued } = await import(supportUrl)
  const store = await openTlsFolder(folder, 0)
  await store.publish(certificateIssued(${LATE}, ${HOUR}, 'OLD'))

  let calls = 0
  const some = await fs.open(process.execPath)
  const handle = Object.getPrototypeOf(some)
  await some.close()
  const watch = (owner, names) => {
    for (const name of names) {
      const original = owner[name]
      owner[name] = function (...words) {
        calls += 1
        if (calls === Number(at)) process.kill(process.pid, 'SIGKILL')
        return original.apply(this, words)
      }
    }
  }
  watch(fs, ['chmod', 'mkdir', 'open', 'readdir', 'readlink', 'rename', 'rm', 'symlink'])
  watch(handle, ['chmod', 'writeFile', 'sync'])
  syncBuiltinESMExports()
  await store.publish(certificateIssued(${LATE}, ${HOUR}, 'NEW'))
  console.log('not killed')`

const MODULES = ['./tls-folder.ts', '../../test/fakes/exchanger-certificates.ts'].map(
  (path) => new URL(path, import.meta.url).href,
)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-tls-killed-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function publishUntil(at: number): Promise<boolean> {
  const words = ['--input-type=module', '--eval', PUBLISHER, String(at), ...MODULES, folder]
  const publisher = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  publisher.stdout.on('data', (text: Buffer) => (said += text.toString()))
  await once(publisher, 'close')
  return said === ''
}

test('killed at any step of a switch, a complete generation is published, and a restart cleans up', async () => {
  const seen = new Set<string>()
  let steps = 0
  for (let at = 1; await publishUntil(at); at += 1) {
    steps = at
    const left = await readCertificate(folder)
    const key = left?.key ?? ''
    seen.add(/OLD|NEW/.exec(key)?.[0] ?? 'none')
    const name = key.split('\n')[1] ?? ''
    expect(left).toEqual(certificateIssued(LATE, HOUR, name))
    const store = await openTlsFolder(folder, 0)
    expect(store.current()).toEqual(left)
    const generations = (await readdir(folder)).filter((one) => one.startsWith('..gen-'))
    expect(generations.length).toBeLessThanOrEqual(2)
    await rm(folder, { recursive: true })
    folder = await mkdtemp(join(tmpdir(), 'nocreds-tls-killed-'))
  }
  expect([...seen]).toEqual(['OLD', 'NEW'])
  expect(steps).toBeGreaterThan(15)
})
