import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { makeCertifiedPod } from '../fakes/exchanger-certificates.ts'
import { makePod } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'

/** Modules of Node, of which a program that does nothing has 105. Each costs every pod some 10 KiB. */
const MOST = { process: 165, endpoint: 205 } as const

/** What only `delivery: endpoint` needs, and what nobody does. */
const ENDPOINT_ONLY = ['crypto', 'http']
const NEVER = [
  'internal/deps/undici/undici',
  'tls',
  'https',
  'http2',
  'zlib',
  'worker_threads',
  'vm',
]

let dist: string
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'nocreds-modules-'))
  await bundleExchanger(dist)
})
afterAll(() => rm(dist, { recursive: true }))

/** The modules of a sidecar up to its first failed exchange: `NativeModule fs` and the like. */
async function modulesOf(delivery: 'process' | 'endpoint'): Promise<string[]> {
  const pod = await makePod({ delivery })
  try {
    return await modulesWith(pod.env, delivery)
  } finally {
    await rm(join(pod.config.credentialsFolder, '..'), { recursive: true })
  }
}

async function modulesWith(env: Record<string, string>, name: string): Promise<string[]> {
  const list = join(dist, name)
  // Not at the exit: a moment after the exchange memory is given back, which takes one module more.
  const preload = `const write = process.stdout.write
  process.stdout.write = function (text, ...more) {
    if (text.includes('TokenMissing'))
      process.getBuiltinModule('fs').writeFileSync(${JSON.stringify(list)}, process.moduleLoadList.join())
    return write.call(this, text, ...more)
  }`
  const words = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`]
  const sidecar = spawn(process.execPath, [...words, join(dist, 'exchanger.mjs'), 'run'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  sidecar.stdout.setEncoding('utf8').on('data', (line: string) => {
    if (line.includes('TokenMissing')) sidecar.kill('SIGTERM')
  })
  // The port of the endpoint may be taken, and the sidecar ends; its modules are the same.
  expect([0, 1]).toContain((await once(sidecar, 'close'))[0])
  return (await readFile(list, 'utf8')).split(',')
}

test('files need neither HTTP nor cryptography', async () => {
  const modules = await modulesOf('process')
  for (const name of [...ENDPOINT_ONLY, ...NEVER]) {
    expect(modules).not.toContain(`NativeModule ${name}`)
  }
  expect(modules.length).toBeLessThanOrEqual(MOST.process)
})

test('the endpoint needs both, and nothing that comes with them', async () => {
  const modules = await modulesOf('endpoint')
  for (const name of ENDPOINT_ONLY) expect(modules).toContain(`NativeModule ${name}`)
  for (const name of NEVER) expect(modules).not.toContain(`NativeModule ${name}`)
  expect(modules.length).toBeLessThanOrEqual(MOST.endpoint)
})

test('a certificate needs none of them either: child processes do TLS and X.509', async () => {
  const pod = await makeCertifiedPod({})
  const modules = await modulesWith(pod.env, 'certificate')
  await pod.remove()
  for (const name of [...ENDPOINT_ONLY, ...NEVER]) {
    expect(modules).not.toContain(`NativeModule ${name}`)
  }
  expect(modules.length).toBeLessThanOrEqual(MOST.process)
})
