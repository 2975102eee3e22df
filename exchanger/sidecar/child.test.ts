import { describe, expect, test } from '@jest/globals'
import { formatCredentialDocument } from '../../contract/credentials.ts'
import { CONFIG, documentEnding, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { SidecarError, formatFailure } from '../failure.ts'
import { childEnv, runExchange } from './child.ts'
import { terminationMessage } from './termination.ts'

const WHO = 'arn:aws:iam::111122223333:role/app for ServiceAccount team-a/app'

function runs(
  script: string,
  signal = new AbortController().signal,
): ReturnType<typeof runExchange> {
  const command = { program: process.execPath, args: ['--eval', script], env: { NOCREDS_X: 'x' } }
  return runExchange(command, CONFIG, signal)
}

describe('an exchange in a separate process', () => {
  test('returns the document that the child prints', async () => {
    const document = documentEnding(0)
    const text = JSON.stringify(formatCredentialDocument(document))
    expect(await runs(`process.stdout.write(${text})`)).toEqual(document)
  })

  test('throws the failure that it reports', async () => {
    const failure = new SidecarError('refused', 'AccessDenied', 'no', 'look')
    const line = JSON.stringify(formatFailure(failure))
    const script = `console.error('a warning'); console.error(${line}); process.exitCode = 1`
    expect(await thrownBy(() => runs(script))).toMatchObject({
      failureClass: 'refused',
      code: 'AccessDenied',
      message: 'no',
      hint: 'look',
    })
  })

  test.each([
    [
      'no document',
      `process.stdout.write('{"Version":1,"SecretAccessKey":"s3cret"')`,
      'MalformedOutput',
    ],
    ['nothing', '', 'MalformedOutput'],
    ['a crash', `throw new Error('s3cret')`, 'ExchangeCrashed'],
    ['the end by a signal', `process.kill(process.pid, 'SIGKILL')`, 'ExchangeKilled'],
    [
      'output without end',
      `setInterval(() => process.stdout.write('s3cret'.repeat(1000)))`,
      'ExchangeKilled',
    ],
    [
      'errors without end',
      `setInterval(() => process.stderr.write('s3cret'.repeat(1000)))`,
      'ExchangeKilled',
    ],
  ])('%s is transient, and none of it is shown', async (_what, script, code) => {
    const error = await thrownBy(() => runs(script))
    expect(error).toMatchObject({
      code,
      failureClass: 'transient',
      message: expect.stringContaining(WHO),
    })
    expect((error as Error).message).not.toContain('s3cret')
  })

  test('a program that is not there', async () => {
    const command = { program: '/nowhere/node', args: [], env: {} }
    const { signal } = new AbortController()
    expect(await thrownBy(() => runExchange(command, CONFIG, signal))).toMatchObject({
      code: 'ENOENT',
      failureClass: 'transient',
    })
  })

  test('is killed at the signal, before or after its start', async () => {
    const stop = new AbortController()
    const running = thrownBy(() => runs(`setInterval(() => {}, 1000)`, stop.signal))
    stop.abort()
    expect(await running).toMatchObject({ code: 'ExchangeKilled' })
    const late = thrownBy(() => runs(`setInterval(() => {}, 1000)`, stop.signal))
    expect(await late).toMatchObject({ code: 'ExchangeKilled' })
  })

  test('has only the env that it is given', async () => {
    const script = `process.stderr.write(JSON.stringify({ code: Object.keys(process.env).join(), class: 'token', message: '' })); process.exit(1)`
    expect(await thrownBy(() => runs(script))).toMatchObject({ code: 'NOCREDS_X' })
  })
})

test('a child gets only NOCREDS_*, TLS trust and PATH of the sidecar`s env', () => {
  const needed = {
    NOCREDS_ROLE_ARN: 'a',
    PATH: '/bin',
    NODE_EXTRA_CA_CERTS: '/ca.pem',
    SSL_CERT_FILE: '/ca.pem',
    OPENSSL_CONF: '/dev/null',
    SSL_CERT_DIR: '/certs',
  }
  const other = { HOME: '/root', AWS_ACCESS_KEY_ID: 'x', NODE_OPTIONS: '--inspect', X: undefined }
  expect(childEnv({ ...other, ...needed })).toEqual(needed)
})

describe('termination message', () => {
  test('code, workload, cause and what to check', () => {
    const error = new SidecarError('refused', 'AccessDenied', `STS refused ${WHO}: no`, 'Look.')
    expect(terminationMessage(error)).toBe(`AccessDenied: STS refused ${WHO}: no. Hint: Look.`)
    expect(terminationMessage(new SidecarError('token', 'A', 'b'))).toBe('A: b')
  })

  test('at most 2048 bytes, whole characters', () => {
    const text = terminationMessage(new SidecarError('token', 'A', `x${'€'.repeat(3000)}`))
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(2048)
    expect(Buffer.byteLength(text)).toBeGreaterThan(2040)
    expect(text).not.toContain('\ufffd')
  })
})
