import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { bundlePrograms, type Bundle } from '../../tools/build/programs.ts'

/** There is one sidecar process per pod, and it starts twice: once as the sidecar, once as its gate. */
const RESIDENT_MAX_BYTES = 44 * 1024

/** The exchange starts again for each refresh, and reads all of it. */
const EXCHANGE_MAX_BYTES = 240 * 1024

/** The same for each certificate, without any package; it knows the names of all variables, to refuse others. */
const CERTIFICATE_MAX_BYTES = 28 * 1024

let folder: string
let resident: Bundle
let exchange: Bundle
let certificate: Bundle
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-bundle-'))
  const bundles = await bundlePrograms(folder, ['exchanger.mjs', 'exchange.mjs', 'certificate.mjs'])
  resident = bundles.find(({ program }) => program === 'exchanger.mjs')!
  exchange = bundles.find(({ program }) => program === 'exchange.mjs')!
  certificate = bundles.find(({ program }) => program === 'certificate.mjs')!
})
afterAll(() => rm(folder, { recursive: true }))

test('sidecar process and certificate contain no package: no SDK, no schema library, nothing else', () => {
  expect(resident.inputs).toContain('exchanger/sidecar/refresher.ts')
  const foreign = /node_modules|^(?!exchanger|contract|shared\/(?:base|x509)\/)/
  for (const { inputs } of [resident, certificate]) {
    expect(inputs.filter((path) => foreign.test(path))).toEqual([])
  }
  expect(resident.inputs.filter((path) => path.startsWith('exchanger/certificate/'))).toEqual([])
})

test('all are small', () => {
  expect(resident.bytes).toBeLessThanOrEqual(RESIDENT_MAX_BYTES)
  expect(exchange.bytes).toBeLessThanOrEqual(EXCHANGE_MAX_BYTES)
  expect(certificate.bytes).toBeLessThanOrEqual(CERTIFICATE_MAX_BYTES)
})

test('the exchange has the SDK and jose, but neither zod nor pino', () => {
  const packages = exchange.inputs.join('\n')
  expect(packages).toContain('node_modules/@aws-sdk/client-sts/')
  expect(packages).toContain('node_modules/jose/')
  expect(packages).not.toMatch(/node_modules\/(?:zod|pino)\//)
})

test('the exchange has no code that finds other credentials', () => {
  const chain = /credential-provider-|token-providers|nested-clients/
  expect(exchange.inputs.filter((path) => chain.test(path))).toEqual([])
  expect(exchange.inputs).toContain('exchanger/credentials/no-credentials.ts')
})

test('none contains a test double', () => {
  const doubles = /^(?:test|tools|e2e)\/|\.test\.ts$/
  const inputs = [resident, exchange, certificate].flatMap((bundle) => bundle.inputs)
  expect(inputs.filter((path) => doubles.test(path))).toEqual([])
})
