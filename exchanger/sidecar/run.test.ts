import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { formatCredentialDocument, type CredentialDocument } from '../../contract/credentials.ts'
import { realClock } from '../../shared/base/clock.ts'
import { listen } from '../../shared/base/server.ts'
import { makePod, until, type Pod } from '../../test/fakes/exchanger-pod.ts'
import { collectingLog, documentEnding, type LogLine } from '../../test/fakes/exchanger-samples.ts'
import { runSidecar } from './run.ts'

const HOUR = 3_600_000

let pod: Pod
beforeEach(async () => {
  pod = await makePod({ delivery: 'endpoint' })
})
afterEach(() => rm(join(pod.config.credentialsFolder, '..'), { recursive: true }))

/** A sidecar of this process, whose exchanges print what the function gives at their start. */
class Sidecar {
  readonly stop = new AbortController()
  readonly lines: LogLine[]
  /** How often memory was released. */
  releases = 0
  readonly exited: Promise<number>

  constructor(script: string, endpointPort = 0) {
    const { log, lines } = collectingLog()
    this.lines = lines
    this.exited = runSidecar(
      { credentials: pod.config, certificate: undefined },
      {
        clock: realClock,
        random: () => 0.5,
        randomBytes,
        log: () => log,
        exchange: { program: process.execPath, args: ['--eval', script], env: {} },
        certificate: { program: '/nowhere', args: [], env: {} },
        endpointPort,
        terminationMessageFile: pod.config.terminationMessageFile,
        releaseMemory: () => (this.releases += 1),
        signal: this.stop.signal,
      },
    )
  }

  async end(): Promise<number> {
    this.stop.abort()
    return this.exited
  }

  /** Resolves with the exit code once the sidecar gave up, and was stopped for that. */
  async givesUp(): Promise<number> {
    await until(async () => ((await pod.terminationMessage()) === '' ? undefined : true))
    return this.end()
  }

  async ask(authorization: string): Promise<{ status: number; body: unknown }> {
    const port = await until(() => this.lines.find((line) => line['port'] !== undefined)?.['port'])
    const headers = { authorization, connection: 'close' }
    const url = `http://127.0.0.1:${String(port)}/v1/credentials`
    const response = await fetch(url, { headers })
    return { status: response.status, body: await response.json() }
  }

  said(msg: string): Promise<LogLine> {
    return until(() => this.lines.find((line) => line.msg === msg))
  }
}

const HANG = 'setInterval(() => {}, 1000)'
const CRASH = 'process.exit(3)'
const prints = (document: CredentialDocument): string =>
  `process.stdout.write(${JSON.stringify(formatCredentialDocument(document))})`
const authorization = (): Promise<string> =>
  readFile(join(pod.config.credentialsFolder, 'authorization'), 'utf8')

describe('delivery by endpoint', () => {
  test('503 before the first credentials, then these', async () => {
    const waiting = new Sidecar(HANG)
    await waiting.said('endpoint listening')
    expect(await waiting.ask(await authorization())).toMatchObject({ status: 503 })
    expect(await waiting.end()).toBe(0)
    const sidecar = new Sidecar(prints(documentEnding(Date.now() + HOUR)))
    await sidecar.said('credentials published')
    expect(await sidecar.ask(await authorization())).toMatchObject({
      status: 200,
      body: { AccessKeyId: 'KEY-1', Token: 'session-of-KEY-1' },
    })
    expect(await sidecar.end()).toBe(0)
  })

  test('after a restart the authorization is the same, and credentials are there at once', async () => {
    const first = new Sidecar(prints(documentEnding(Date.now() + HOUR, 'FIRST')))
    await first.said('credentials published')
    const before = await authorization()
    await first.end()
    const second = new Sidecar(CRASH)
    expect(await second.ask(before)).toMatchObject({ status: 200, body: { AccessKeyId: 'FIRST' } })
    expect(await authorization()).toBe(before)
    expect(await second.ask(`${before}x`)).toMatchObject({ status: 401 })
    await second.end()
    for (const secret of [before, 'secret-of-FIRST', 'session-of-FIRST']) {
      expect(JSON.stringify([first.lines, second.lines])).not.toContain(secret)
    }
  })

  test('a port that is taken: exit code 1 with the reason', async () => {
    const other = createServer()
    const port = await listen(other, 0, '127.0.0.1')
    expect(await new Sidecar(HANG, port).givesUp()).toBe(1)
    expect(await pod.terminationMessage()).toContain(
      `ERR_ENDPOINT_LISTEN: the endpoint cannot listen on 127.0.0.1:${port}: EADDRINUSE. Hint: `,
    )
    other.close()
  })
})

describe('the volume', () => {
  test('cannot be used at startup: exit code 1 with the reason', async () => {
    await rm(pod.config.credentialsFolder, { recursive: true })
    await writeFile(pod.config.credentialsFolder, 'a file')
    expect(await new Sidecar(HANG).givesUp()).toBe(1)
    expect(await pod.terminationMessage()).toMatch(
      /^ERR_SIDECAR_START: no exchange of arn:.* for ServiceAccount team-a\/app: the folder .*: E\w+$/,
    )
  })

  test('cannot be written later: retried, and written once it can', async () => {
    const { credentialsFolder } = pod.config
    const sidecar = new Sidecar(
      `const { existsSync } = require('node:fs'); const wait = setInterval(() => {
        if (!existsSync(${JSON.stringify(join(pod.config.tokenFile))})) return
        clearInterval(wait); ${prints(documentEnding(Date.now() + HOUR))} }, 20)`,
    )
    await sidecar.said('endpoint listening')
    await rm(credentialsFolder, { recursive: true })
    await pod.putToken('go on')
    expect(await sidecar.said('exchange failed')).toMatchObject({
      code: 'ENOENT',
      class: 'transient',
      error: expect.stringContaining('the credentials cannot be written: ENOENT'),
    })
    await mkdir(credentialsFolder)
    await sidecar.said('credentials published')
    expect(await pod.document()).toMatchObject({ AccessKeyId: 'KEY-1' })
    expect(await sidecar.end()).toBe(0)
  })
})

test.each([
  ['that succeeds', prints(documentEnding(Date.now() + HOUR)), 'credentials published'],
  ['that fails', CRASH, 'exchange failed'],
])('memory is released after an exchange %s', async (_which, script, msg) => {
  const sidecar = new Sidecar(script)
  await sidecar.said(msg)
  expect(await until(() => sidecar.releases || undefined)).toBeGreaterThan(0)
  await sidecar.end()
})

test('a sidecar that is stopped before it starts does nothing', async () => {
  const sidecar = new Sidecar(prints(documentEnding(Date.now() + HOUR)))
  expect(await sidecar.end()).toBe(0)
  await expect(pod.document()).rejects.toMatchObject({ code: 'ENOENT' })
})
