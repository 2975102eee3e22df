/** Credentials and a certificate in one sidecar, with children that a test scripts. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { formatCertificateDocument } from '../../contract/certificate-document.ts'
import { formatCredentialDocument } from '../../contract/credentials.ts'
import { realClock } from '../../shared/base/clock.ts'
import {
  certificateIssued,
  makeCertifiedPod,
  type CertifiedPod,
} from '../../test/fakes/exchanger-certificates.ts'
import { makePod, until, type Pod } from '../../test/fakes/exchanger-pod.ts'
import { collectingLog, documentEnding, type LogLine } from '../../test/fakes/exchanger-samples.ts'
import { SidecarError, formatFailure } from '../failure.ts'
import { runSidecar } from './run.ts'

const HOUR = 3_600_000

let credentials: Pod
let certificate: CertifiedPod
let stop: AbortController
let exited: Promise<number>
beforeEach(async () => {
  credentials = await makePod({})
  certificate = await makeCertifiedPod({}, credentials.config)
  stop = new AbortController()
})
afterEach(async () => {
  stop.abort()
  await exited
  await rm(join(credentials.config.credentialsFolder, '..'), { recursive: true })
  await certificate.remove()
})

const prints = (text: string): string => `process.stdout.write(${JSON.stringify(text)})`
const credentialsFor = (ms: number): string =>
  prints(formatCredentialDocument(documentEnding(Date.now() + ms)))
const certificateFor = (ms: number): string =>
  prints(formatCertificateDocument(certificateIssued(Date.now(), ms)))
const refused = (code: string): string => {
  const line = formatFailure(new SidecarError('refused', code, 'no'))
  return `console.error(${JSON.stringify(line)}); process.exitCode = 1`
}
/** The first time the one, afterwards the other; `file` keeps the state. */
const firstThen = (file: string, first: string, then: string): string =>
  `const fs = require('node:fs'); const file = ${JSON.stringify(file)}
  if (fs.existsSync(file)) { ${then} } else { fs.writeFileSync(file, ''); ${first} }`

/** Starts it, and returns its log. */
function run(exchange: string, certify: string): LogLine[] {
  const { log, lines } = collectingLog()
  const command = (script: string) => ({
    program: process.execPath,
    args: ['--eval', script],
    env: {},
  })
  exited = runSidecar(
    { credentials: credentials.config, certificate: certificate.config },
    {
      clock: realClock,
      random: () => 0.5,
      randomBytes,
      log: () => log,
      exchange: command(exchange),
      certificate: command(certify),
      endpointPort: 0,
      terminationMessageFile: credentials.config.terminationMessageFile,
      releaseMemory: () => undefined,
      signal: stop.signal,
    },
  )
  return lines
}

const times = (lines: readonly LogLine[], msg: string): number =>
  lines.filter((one) => one.msg === msg).length

test('a certificate that is refused later does not affect the credentials', async () => {
  const memory = join(certificate.config.authorityFolder, 'was-there')
  const certify = firstThen(memory, certificateFor(5000), refused('name-not-permitted'))
  const lines = run(credentialsFor(4000), certify)
  await until(() => times(lines, 'certificate expired and removed') || undefined)
  const known = times(lines, 'credentials published')
  expect(known).toBeGreaterThan(0)
  await until(() =>
    certificate.file('tls.crt').then(
      () => undefined,
      () => true as const,
    ),
  )
  expect(await credentials.terminationMessage()).toBe('')
  stop.abort()
  expect(await exited).toBe(0)
})

test('credentials that are refused later do not affect the certificate', async () => {
  const memory = join(certificate.config.authorityFolder, 'was-there')
  const exchange = firstThen(memory, credentialsFor(3000), refused('AccessDenied'))
  const lines = run(exchange, certificateFor(HOUR))
  await until(() => times(lines, 'credentials expired and removed') || undefined)
  expect(await certificate.file('tls.crt')).toContain('ONE')
  stop.abort()
  expect(await exited).toBe(0)
})

test('at startup a refusal of one stops both', async () => {
  const lines = run(credentialsFor(HOUR), refused('namespace-not-enabled'))
  await until(async () => ((await credentials.terminationMessage()) === '' ? undefined : true))
  expect(await credentials.terminationMessage()).toBe('namespace-not-enabled: no')
  expect(times(lines, 'no initial certificate; giving up')).toBe(1)
  stop.abort()
  expect(await exited).toBe(1)
})

test('one child at a time, so that the peak of memory is never that of two', async () => {
  const busy = join(certificate.config.authorityFolder, 'busy')
  const alone = (script: string): string =>
    `const fs = require('node:fs'); const file = ${JSON.stringify(busy)}
    if (fs.existsSync(file)) process.exit(7)
    fs.writeFileSync(file, '')
    setTimeout(() => { fs.unlinkSync(file); ${script} }, 100)`
  const lines = run(alone(credentialsFor(HOUR)), alone(certificateFor(HOUR)))
  await until(() => times(lines, 'certificate published') || undefined)
  await until(() => times(lines, 'credentials published') || undefined)
  expect(lines.filter(({ level }) => level !== 'info')).toEqual([])
  stop.abort()
  expect(await exited).toBe(0)
})
