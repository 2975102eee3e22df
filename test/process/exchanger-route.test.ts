import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { realClock } from '../../shared/base/clock.ts'
import { listen } from '../../shared/base/server.ts'
import { startAuthority } from '../fakes/authority/server.ts'
import { startConnectProxy, type ConnectProxy } from '../fakes/connect-proxy.ts'
import { authorityToken, makeCertifiedPod } from '../fakes/exchanger-certificates.ts'
import { makePod, start } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'
import { CONFIG } from '../fakes/exchanger-samples.ts'
import { startIssuer, type Issuer } from '../fakes/issuer.ts'
import { closeAtOnce } from '../fakes/loopback-server.ts'
import { startSts, type Sts } from '../fakes/sts/server.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'
import { throwawayCertificate, type ThrowawayCertificate } from '../fakes/throwaway-certificate.ts'

/** A name that only the proxy knows. */
const STS_NAME = 'sts.internal.example'

let dist: string
let issuer: Issuer
let certificate: ThrowawayCertificate
let other: ThrowawayCertificate
let sts: Sts
let proxy: ConnectProxy
let folders: string[] = []
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'nocreds-route-'))
  await bundleExchanger(dist)
  issuer = await startIssuer({ clock: realClock })
  certificate = await throwawayCertificate(['127.0.0.1', STS_NAME])
  other = await throwawayCertificate(['127.0.0.1'])
})
afterAll(async () => {
  await issuer.close()
  await rm(dist, { recursive: true })
})

beforeEach(async () => {
  const { roleArn, namespace, serviceAccount, audience } = CONFIG
  const subject = `system:serviceaccount:${namespace}:${serviceAccount}`
  const trust = trustPolicy({ issuer: issuer.url, subject, audience, accountId: '111122223333' })
  const roles = [{ arn: roleArn, trust }]
  sts = await startSts({ clock: realClock, issuers: [issuer], roles, tls: certificate })
  proxy = await startConnectProxy({ hosts: { [`${STS_NAME}:443`]: portOf(sts.url) } })
})
afterEach(async () => {
  await Promise.all([sts.stop(), proxy.stop()])
  for (const folder of folders) await rm(folder, { recursive: true })
  folders = []
})

function portOf(url: string): number {
  return Number(new URL(url).port)
}

interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** One exchange of the built program. */
async function exchange(
  route: Partial<CredentialsConfig>,
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const pod = await makePod(route)
  folders.push(join(pod.config.credentialsFolder, '..'))
  const { namespace, serviceAccount, pod: name, audience } = CONFIG
  const bound = { namespace, serviceAccount, pod: name, audience, expiresInSeconds: 600 }
  await pod.putToken(await issuer.mintToken(bound))
  const one = start(join(dist, 'exchanger.mjs'), 'exchange', { ...pod.env, ...env })
  const exitCode = await one.exited
  return { exitCode, ...one.said }
}

const byName = (): Partial<CredentialsConfig> => ({
  stsEndpoint: `https://${STS_NAME}`,
  stsProxy: proxy.url,
  stsCa: certificate.caPem,
})

function failureOf({ exitCode, stdout, stderr }: Outcome): unknown {
  expect([exitCode, stdout]).toEqual([1, ''])
  return JSON.parse(stderr)
}

const GRANTED = { exitCode: 0, stderr: '', stdout: expect.stringContaining('"AccessKeyId"') }

describe('a private CA', () => {
  test('verifies STS, without a proxy too', async () => {
    const route = { stsEndpoint: sts.url, stsCa: certificate.caPem }
    expect(await exchange(route)).toEqual(GRANTED)
    expect(proxy.asked).toEqual([])
  })

  test.each([
    ['another', (): string => other.caPem, 'only those are trusted: add its CA'],
    ['none', (): undefined => undefined, 'add its CA to stsCa'],
  ])('%s: no token is sent to that server', async (_what, ca, hint) => {
    const failed = failureOf(await exchange({ stsEndpoint: sts.url, stsCa: ca() }))
    expect(failed).toMatchObject({
      code: expect.stringMatching(/UNABLE_TO|SELF_SIGNED/),
      class: 'transient',
      hint: expect.stringContaining(hint),
    })
    expect(sts.calls).toEqual([])
  })
})

describe('a proxy', () => {
  test('reaches an STS that only it can reach, and sees no token', async () => {
    expect(await exchange(byName())).toEqual(GRANTED)
    expect(proxy.asked).toEqual([`${STS_NAME}:443`])
    expect(sts.calls).toHaveLength(1)
  })

  test('may use TLS, verified by the same CA', async () => {
    const byTls = await startConnectProxy({
      tls: certificate,
      hosts: { [`${STS_NAME}:443`]: portOf(sts.url) },
    })
    try {
      expect(await exchange({ ...byName(), stsProxy: byTls.url })).toEqual(GRANTED)
      const asked = await exchange({ ...byName(), stsProxy: byTls.url, stsCa: other.caPem })
      expect(failureOf(asked)).toMatchObject({
        code: 'ProxyUnreachable',
        hint: expect.stringContaining(byTls.url),
      })
      expect(byTls.asked).toHaveLength(1)
    } finally {
      await byTls.stop()
    }
  })

  test.each(['127.0.0.1', '127.0.0.0/8', 'other.example, 127.0.0.1'])(
    'with the exception %s is not used',
    async (stsNoProxy) => {
      const route = { ...byName(), stsEndpoint: sts.url }
      expect(await exchange({ ...route, stsNoProxy })).toEqual(GRANTED)
      expect(proxy.asked).toEqual([])
      expect(await exchange({ ...route, stsNoProxy: '10.0.0.0/8' })).toEqual(GRANTED)
      expect(proxy.asked).toHaveLength(1)
    },
  )

  test.each([
    [407, 'ProxyAuthenticationRequired', 'refused', 'HTTP status 407'],
    [403, 'ProxyRefused', 'refused', 'HTTP status 403'],
    [503, 'ProxyFailed', 'transient', 'HTTP status 503'],
    ['close', 'ProxyUnreachable', 'transient', 'ECONNRESET'],
    ['hang', 'ProxyTimeout', 'transient', 'in 5 s'],
  ] as const)('that answers %s: %s', async (fault, code, failureClass, text) => {
    proxy.fault(fault)
    expect(failureOf(await exchange(byName()))).toMatchObject({
      code,
      class: failureClass,
      message: expect.stringMatching(
        new RegExp(`^no exchange of arn:.* the proxy ${proxy.url} .*${text}`),
      ),
      hint: expect.stringContaining(proxy.url),
    })
    expect(sts.calls).toEqual([])
  })

  test('that is not there', async () => {
    await proxy.stop()
    expect(failureOf(await exchange(byName()))).toMatchObject({
      code: 'ProxyUnreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('that connects to another server than STS gets no token', async () => {
    const astray = await startConnectProxy({ hosts: { [`${STS_NAME}:443`]: portOf(proxy.url) } })
    const failed = failureOf(await exchange({ ...byName(), stsProxy: astray.url }))
    expect(failed).toMatchObject({ class: 'transient' })
    await astray.stop()
    expect(sts.calls).toEqual([])
  })

  test('with a password is refused, and the password not shown', async () => {
    const outcome = await exchange({}, { NOCREDS_STS_PROXY: 'http://user:hunter2@127.0.0.1:3128' })
    expect(outcome.exitCode).toBe(2)
    expect(JSON.parse(outcome.stderr)).toMatchObject({
      code: 'ERR_ENV_OUT_OF_BOUNDS',
      message: expect.stringMatching(/NOCREDS_STS_PROXY is not shown.*without user, password/),
    })
    expect(outcome.stderr).not.toContain('hunter2')
  })

  test('is not used for an STS over http', async () => {
    const plain = createServer((_request, response) => response.writeHead(503).end())
    const port = await listen(plain, 0, '127.0.0.1')
    await exchange({ ...byName(), stsEndpoint: `http://127.0.0.1:${port}` })
    await closeAtOnce(plain)
    expect(proxy.asked).toEqual([])
  })

  test('in any other variable is not used', async () => {
    const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'ALL_PROXY', 'AWS_HTTPS_PROXY']
    const env = {
      ...Object.fromEntries(names.map((name) => [name, proxy.url])),
      NODE_USE_ENV_PROXY: '1',
    }
    const route = { stsEndpoint: sts.url, stsCa: certificate.caPem }
    expect(await exchange(route, env)).toEqual(GRANTED)
    expect(proxy.asked).toEqual([])
  })
})

test('the authority is called directly, and verified by its trust bundle alone', async () => {
  const { namespace, serviceAccount } = CONFIG
  const jwt = authorityToken('route')
  const isGood = (token: string): boolean => token === jwt
  const authority = await startAuthority({ clock: realClock, namespace, serviceAccount, isGood })
  try {
    const inPod = await makePod(byName())
    folders.push(join(inPod.config.credentialsFolder, '..'))
    const pod = await makeCertifiedPod({ authorityUrl: authority.url }, inPod.config)
    folders.push(join(pod.config.tlsFolder, '..'))
    await pod.putToken(jwt)
    await pod.putTrustBundle(authority.trustBundle)
    expect(pod.env).toMatchObject({ NOCREDS_STS_PROXY: proxy.url })
    const one = start(join(dist, 'exchanger.mjs'), 'certificate', pod.env)
    expect(await one.exited).toBe(0)
    await pod.putTrustBundle(certificate.caPem)
    const other = start(join(dist, 'exchanger.mjs'), 'certificate', pod.env)
    expect(await other.exited).toBe(1)
    expect(proxy.asked).toEqual([])
  } finally {
    await authority.stop()
  }
})
