import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { CredentialDocument } from '../../contract/credentials.ts'
import { documentEnding, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { ensureAuthorization, readAuthorization } from './authorization.ts'
import { authorizer } from './authorizer.ts'
import { startEndpoint, type Endpoint } from './endpoint.ts'

const NOW = Date.UTC(2026, 0, 1)
const AUTHORIZATION = 'a'.repeat(43)
const PATH = '/v1/credentials'

let endpoint: Endpoint
let document: CredentialDocument | undefined
let now: number
beforeEach(async () => {
  document = documentEnding(NOW + 1000)
  now = NOW
  endpoint = await startEndpoint({
    port: 0,
    served: [{ path: PATH, authorization: AUTHORIZATION, current: () => document }],
    now: () => now,
    onBurstEnd: () => undefined,
  })
})
afterEach(() => {
  endpoint.close()
})

interface Reply {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

function ask(
  path: string,
  { method = 'GET', authorization }: { method?: string; authorization?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization }
    const sent = request({ port: endpoint.port, host: '127.0.0.1', path, method, headers })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const body: unknown = text === '' ? undefined : JSON.parse(text)
        resolve({ status: response.statusCode, headers: response.headers, body })
      })
    })
    sent.end()
  })
}

const authorized = { authorization: AUTHORIZATION }

describe('the endpoint', () => {
  test('returns the credentials to a client with the authorization', async () => {
    const { status, headers, body } = await ask(PATH, authorized)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/json')
    expect(body).toEqual({
      AccessKeyId: 'KEY-1',
      SecretAccessKey: 'secret-of-KEY-1',
      Token: 'session-of-KEY-1',
      Expiration: '2026-01-01T00:00:01Z',
      AccountId: '111122223333',
    })
  })

  test.each([
    ['none', undefined],
    ['empty', ''],
    ['wrong', 'b'.repeat(43)],
    ['longer', `${AUTHORIZATION}a`],
    ['shorter', AUTHORIZATION.slice(1)],
    ['a scheme before it', `Bearer ${AUTHORIZATION}`],
  ])('401 with an authorization that is %s', async (_what, given) => {
    const { status, body } = await ask(PATH, given === undefined ? {} : { authorization: given })
    expect(status).toBe(401)
    expect(body).toEqual({ code: 'Unauthorized', message: expect.any(String) })
  })

  test.each(['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])('405 for %s', async (method) => {
    const { status, headers } = await ask(PATH, { ...authorized, method })
    expect(status).toBe(405)
    expect(headers.allow).toBe('GET')
  })

  test.each(['/', '/v1/credentials/', '/v1/credentials?a=b', '/V1/credentials'])(
    '404 for %s, for every client',
    async (path) => {
      expect(await ask(path)).toMatchObject({ status: 404, body: { code: 'NotFound' } })
    },
  )

  test('503 before the first credentials, and never expired ones', async () => {
    now = NOW + 1000
    const refused = { status: 503, body: { code: 'NoCredentials', message: expect.any(String) } }
    expect(await ask(PATH, authorized)).toMatchObject(refused)
    document = undefined
    const { headers, ...reply } = await ask(PATH, authorized)
    expect(reply).toEqual(refused)
    expect(headers['content-type']).toBe('application/json')
  })

  test('the order: path, method, authorization, credentials', async () => {
    document = undefined
    expect(await ask('/x', { method: 'POST' })).toMatchObject({ status: 404 })
    expect(await ask(PATH, { method: 'POST' })).toMatchObject({ status: 405 })
    expect(await ask(PATH)).toMatchObject({ status: 401 })
    expect(await ask(PATH, authorized)).toMatchObject({ status: 503 })
  })

  test('unlimited headers are refused', async () => {
    const { status } = await ask(PATH, { authorization: 'a'.repeat(10_000) })
    expect(status).toBe(431)
  })

  test('is only reachable on 127.0.0.1', async () => {
    expect(await isOpen('127.0.0.1')).toBe(true)
    const others = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
    const hosts = ['127.0.0.2', '::1', ...others.map(({ address }) => address)]
    for (const host of hosts.filter((one) => one !== '127.0.0.1')) {
      expect([host, await isOpen(host)]).toEqual([host, false])
    }
  })

  test('a port that is taken is named, with a hint', async () => {
    const { port } = endpoint
    const options = {
      port,
      served: [],
      now: () => 0,
      onBurstEnd: () => undefined,
    }
    expect(await thrownBy(() => startEndpoint(options))).toMatchObject({
      code: 'ERR_ENDPOINT_LISTEN',
      message: `the endpoint cannot listen on 127.0.0.1:${port}: EADDRINUSE`,
      hint: expect.stringContaining('delivery'),
    })
  })
})

describe('the endpoint of several roles', () => {
  const OTHER = { path: `${PATH}/1`, authorization: 'b'.repeat(43) }
  let other: CredentialDocument | undefined
  beforeEach(async () => {
    endpoint.close()
    other = documentEnding(NOW + 1000, 'KEY-2')
    endpoint = await startEndpoint({
      port: 0,
      served: [
        { path: PATH, authorization: AUTHORIZATION, current: () => document },
        { ...OTHER, current: () => other },
      ],
      now: () => now,
      onBurstEnd: () => undefined,
    })
  })

  test('each path answers with its own credentials, to its own authorization alone', async () => {
    expect(await ask(PATH, authorized)).toMatchObject({
      status: 200,
      body: { AccessKeyId: 'KEY-1' },
    })
    expect(await ask(OTHER.path, OTHER)).toMatchObject({
      status: 200,
      body: { AccessKeyId: 'KEY-2', Token: 'session-of-KEY-2' },
    })
    const unauthorized = { code: 'Unauthorized', message: expect.any(String) }
    for (const [path, client] of [
      [OTHER.path, authorized],
      [PATH, OTHER],
    ] as const) {
      const { status, body } = await ask(path, { authorization: client.authorization })
      expect([path, status, body]).toEqual([path, 401, unauthorized])
    }
  })

  test('503 for the role without credentials, and 200 for the other one', async () => {
    other = undefined
    expect(await ask(OTHER.path, OTHER)).toMatchObject({ status: 503 })
    expect(await ask(PATH, authorized)).toMatchObject({ status: 200 })
  })

  test.each(['/', `${PATH}/`, `${PATH}/0`, `${PATH}/2`, `${PATH}/1/`, `${PATH}/01`])(
    '404 for %s, which names the paths',
    async (path) => {
      expect(await ask(path, authorized)).toMatchObject({
        status: 404,
        body: { message: `only ${PATH}, ${PATH}/1 are served` },
      })
    },
  )
})

function isOpen(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port: endpoint.port, host })
    const end = (open: boolean): void => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => {
      end(true)
    })
    socket.once('error', () => {
      end(false)
    })
    socket.setTimeout(2000, () => {
      end(false)
    })
  })
}

describe('the authorization', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nocreds-authorization-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('is 256 random bits without a line break, made once', async () => {
    const made = await ensureAuthorization(folder, randomBytes)
    const file = join(folder, 'authorization')
    expect(await readFile(file, 'utf8')).toBe(made)
    expect(Buffer.from(made, 'base64url')).toHaveLength(32)
    expect((await stat(file)).mode & 0o777).toBe(0o644)
    expect(await ensureAuthorization(folder, randomBytes)).toBe(made)
    expect(await readAuthorization(folder)).toBe(made)
  })

  test.each(['', 'short', `${'a'.repeat(43)}\n`, 'ä'.repeat(43), 'a'.repeat(100_000)])(
    'replaces an invalid authorization',
    async (text) => {
      await writeFile(join(folder, 'authorization'), text)
      expect(await readAuthorization(folder)).toBeUndefined()
      const made = await ensureAuthorization(folder, randomBytes)
      expect(await readFile(join(folder, 'authorization'), 'utf8')).toBe(made)
    },
  )

  test('is compared as a whole', () => {
    const isAuthorized = authorizer(AUTHORIZATION)
    expect(isAuthorized(AUTHORIZATION)).toBe(true)
    expect(isAuthorized(undefined)).toBe(false)
    expect(isAuthorized('')).toBe(false)
  })
})
