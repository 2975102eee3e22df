import { X509Certificate } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  lifetimeMsOf,
  notAfterOf,
  type CertificateDocument,
} from '../../contract/certificate-document.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { realClock } from '../../shared/base/clock.ts'
import { ensureFolder } from '../../shared/base/files.ts'
import { startAuthority, type TestAuthority } from '../../test/fakes/authority/server.ts'
import {
  authorityToken,
  CERTIFICATE_CONFIG,
  makeCertifiedPod,
  type CertifiedPod,
} from '../../test/fakes/exchanger-certificates.ts'
import { until } from '../../test/fakes/exchanger-pod.ts'
import { thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { recordSecret } from '../../test/leak-check.ts'
import { formatFailure, type SidecarError } from '../failure.ts'
import { openTlsFolder, readCertificate } from '../publish/tls-folder.ts'
import { sendCertificateRequest, sendTrustBundleRequest } from './authority-client.ts'
import { certificateTask, trustBundleTask } from './failures.ts'
import { requestCertificate } from './request.ts'
import { readAuthorityToken } from './token.ts'
import { fetchTrustBundle } from './trust-bundle.ts'
import { readTrustBundle, type TrustSource } from './trust.ts'

const WHO = 'certificate for ServiceAccount team-a/app'
const JWT = authorityToken('app')
const { namespace, serviceAccount } = CERTIFICATE_CONFIG

let authority: TestAuthority
let pod: CertifiedPod
/** Ends the request. */
let time: AbortController
beforeEach(async () => {
  time = new AbortController()
  recordSecret(JWT)
  authority = await startAuthority({
    clock: realClock,
    namespace,
    serviceAccount,
    isGood: (jwt) => jwt === JWT,
  })
  pod = await makeCertifiedPod({ authorityUrl: authority.url })
  await pod.putToken(`${JWT}\n`)
  await pod.putTrustBundle(authority.trustBundle)
})
afterEach(async () => {
  await authority.stop()
  await pod.remove()
})

const run = (
  settings: Partial<CertificateConfig> = {},
  source: TrustSource = 'mounted',
): Promise<CertificateDocument> => {
  const config = { ...pod.config, ...settings }
  const task = certificateTask(config)
  return requestCertificate(config, {
    readToken: () => readAuthorityToken(task),
    readTrustBundle: () => readTrustBundle(task, source),
    sendCertificateRequest: (options) => sendCertificateRequest(options, time.signal),
    now: () => Date.now(),
  })
}
const failure = (settings?: Partial<CertificateConfig>, source?: TrustSource): Promise<unknown> =>
  thrownBy(() => run(settings, source))

describe('a certificate', () => {
  test('is for the new key and has the names, by a request that OpenSSL reads', async () => {
    const document = await run()
    const [leaf] = document.certificate.split(/(?<=-----END CERTIFICATE-----\n)/)
    const certificate = new X509Certificate(leaf!)
    expect(certificate.subjectAltName).toBe(
      'DNS:web, DNS:web.team-a.svc, URI:spiffe://cluster.local/ns/team-a/sa/app',
    )
    expect(document.key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect(document.trustBundle.trim()).toBe(authority.trustBundle.trim())
    expect(lifetimeMsOf(document)).toBe(3540_000)
    expect(notAfterOf(document)).toBe(certificate.validToDate.getTime())
    expect(authority.calls).toEqual([
      { jwt: JWT, status: 200, dnsNames: pod.config.dnsNames, durationSeconds: 3600 },
    ])
  })

  test('needs no names, or may have many long ones', async () => {
    await run({ dnsNames: undefined })
    const label = 'a'.repeat(63)
    const dnsNames = Array.from({ length: 20 }, (_, n) => `n${n}.${label}.${label}.${label}`)
    await run({ dnsNames })
    expect(authority.calls.map((call) => call.dnsNames)).toEqual([[], dnsNames])
  })

  test('has the name of the pod if a name contains the placeholder', async () => {
    await run({ dnsNames: ['{pod}.web.team-a.svc'] })
    expect(authority.calls.map((call) => call.dnsNames)).toEqual([['app-1.web.team-a.svc']])
    const pod = 'a'.repeat(64)
    expect(await failure({ dnsNames: ['{pod}.web.team-a.svc'], pod })).toMatchObject({
      code: 'NameMalformed',
      failureClass: 'refused',
      message: expect.stringContaining(`${pod}.web.team-a.svc`),
    })
  })

  test('has another key each time', async () => {
    const [one, other] = [await run(), await run()]
    expect(one.key).not.toBe(other.key)
  })
})

describe('a refusal', () => {
  test.each([
    [403, 'name-not-permitted', 'refused', 'permitted-dns-names of Namespace team-a'],
    [403, 'namespace-not-enabled', 'refused', 'nocreds.dev/injection=enabled'],
    [403, 'pod-gone', 'refused', 'team-a/app-1'],
    [400, 'duration-out-of-bounds', 'refused', 'certificate-duration is 3600 s'],
    [400, 'csr-invalid', 'refused', undefined],
    [401, 'token-invalid', 'token', 'nocreds.dev/authority'],
    [503, 'not-ready', 'transient', undefined],
    [503, 'apiserver-unreachable', 'transient', undefined],
    [429, 'too-many', 'transient', undefined],
  ])('%d %s is of class %s', async (status, code, failureClass, hint) => {
    const message = `because of\n${JWT}`
    authority.fault({ kind: 'refusal', status, code, message })
    const error = await failure()
    expect(error).toMatchObject({ code, failureClass })
    const { message: text, hint: said } = error as { message: string; hint?: string }
    expect(text).toContain(WHO)
    expect(text).toMatch(/: because of \[token\]$/)
    if (hint === undefined) expect(said).toBeUndefined()
    else expect(said).toContain(hint)
  })
})

describe('invalid responses', () => {
  test.each([
    [{ kind: 'garbage' }, 'MalformedResponse'],
    [{ kind: 'huge' }, 'AnswerTooLarge'],
    [{ kind: 'reset' }, 'ECONNRESET'],
    [{ kind: 'refusal', status: 200, code: 'x', message: 'y' }, 'MalformedResponse'],
    [{ kind: 'refusal', status: 403, code: 'Not A Code', message: 'y' }, 'MalformedResponse'],
  ] as const)('%j is transient', async (fault, code) => {
    authority.fault(fault)
    expect(await failure()).toMatchObject({
      code,
      failureClass: 'transient',
      message: expect.stringContaining(`no ${WHO}: `),
    })
  })

  test.each([
    ['key', 'is for another key'],
    ['identity', 'is for another identity'],
    ['names', 'lacks the name web'],
    ['ca', 'does not chain to'],
    ['life', 'the certificate expired at'],
  ] as const)('a certificate with a wrong %s is never given to an app', async (what, text) => {
    authority.fault({ kind: 'wrong', what })
    expect(await failure()).toMatchObject({
      code: 'CertificateMismatch',
      failureClass: 'transient',
      message: expect.stringContaining(text),
    })
  })

  test('an authority that never responds', async () => {
    authority.fault({ kind: 'hang' })
    const error = failure()
    await until(() => authority.calls[0])
    time.abort()
    expect(await error).toMatchObject({ code: 'Timeout', failureClass: 'transient' })
  })

  test('an authority that is slow is waited for', async () => {
    authority.fault({ kind: 'slow', delayMs: 50 })
    expect((await run()).key).not.toBe('')
  })

  test('an authority that is down', async () => {
    await authority.stop()
    expect(await failure()).toMatchObject({
      code: 'ECONNREFUSED',
      failureClass: 'transient',
      hint: expect.stringContaining('nocreds-system/nocreds-authority'),
    })
  })
})

describe('how to reach it', () => {
  test('an authority that the trust bundle does not know gets no token', async () => {
    const other = await startAuthority({
      clock: realClock,
      namespace,
      serviceAccount,
      isGood: () => true,
    })
    const error = await failure({ authorityUrl: other.url })
    await other.stop()
    expect(error).toMatchObject({
      failureClass: 'transient',
      code: 'CERT_SIGNATURE_FAILURE',
      hint: expect.stringContaining('ConfigMap team-a/nocreds-trust-bundle'),
    })
    expect(other.calls).toEqual([])
  })

  test('the host in the certificate must be the requested one', async () => {
    const authorityUrl = authority.url.replace('127.0.0.1', 'localhost')
    expect(await failure({ authorityUrl })).toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })

  test('http is refused before the token is read', async () => {
    const authorityUrl = authority.url.replace('https', 'http')
    const settings = { authorityUrl, authorityFolder: '/nowhere' }
    expect(await failure(settings)).toMatchObject({
      code: 'AuthorityNotHttps',
      failureClass: 'refused',
    })
  })

  test.each([
    ['', 'TrustBundleMalformed'],
    ['no PEM', 'TrustBundleMalformed'],
    ['x'.repeat(300_000), 'TrustBundleMalformed'],
  ])('an empty trust bundle never means the built-in CAs', async (text, code) => {
    await pod.putTrustBundle(text)
    expect(await failure()).toMatchObject({ code, failureClass: 'transient' })
    expect(authority.calls).toEqual([])
  })

  test('no trust bundle, no token', async () => {
    expect(await failure({ authorityFolder: '/nowhere' })).toMatchObject({
      code: 'TokenMissing',
      failureClass: 'token',
      message: `no ${WHO}: the token file /nowhere/token does not exist`,
    })
    await pod.putToken('x'.repeat(20_001))
    expect(await failure()).toMatchObject({ code: 'TokenMalformed', failureClass: 'token' })
  })
})

describe('the token', () => {
  const jwt = (claims: object): string =>
    `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`

  test.each([
    ['of STS', jwt({ aud: ['sts.amazonaws.com'], sub: 'secret-subject' })],
    ['of the apiserver', jwt({ aud: 'https://kubernetes.default.svc' })],
    ['without audience', jwt({})],
    ['that is a password', 'hunter2-hunter2'],
    ['that is a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
  ])('%s never leaves the pod and is never shown', async (_, content) => {
    await pod.putToken(content)
    const error = (await failure()) as SidecarError
    expect(error).toMatchObject({ code: 'WrongAudience', failureClass: 'refused' })
    const said = `${formatFailure(error)} ${error.stack ?? ''}`
    for (const part of content.split(/[.\n]/))
      expect(said.includes(part) && part !== '').toBe(false)
    expect(said).not.toContain('secret-subject')
    expect(authority.calls).toEqual([])
  })
})

describe('once a certificate is published', () => {
  const EVERYWHERE = ['alone', 'appended', 'put first'] as const
  let evil: TestAuthority

  /** An attacker responds at the address of the authority, which hostAliases, dnsConfig or a Service can cause. */
  async function takeOver(): Promise<void> {
    await authority.stop()
    const port = Number(new URL(authority.url).port)
    const who = { clock: realClock, namespace, serviceAccount, isGood: () => true }
    evil = await startAuthority({ ...who, port })
  }
  function mountedWith(how: (typeof EVERYWHERE)[number]): string {
    const real = authority.trustBundle
    if (how === 'alone') return evil.trustBundle
    return how === 'appended' ? real + evil.trustBundle : evil.trustBundle + real
  }

  beforeEach(async () => {
    await ensureFolder(pod.config.tlsFolder)
    const store = await openTlsFolder(pod.config.tlsFolder, Date.now())
    await store.publish(await run())
  })
  afterEach(() => evil.stop())

  test.each(EVERYWHERE)('a CA in the ConfigMap, %s, gets no token', async (how) => {
    await takeOver()
    await pod.putTrustBundle(mountedWith(how))
    expect(await failure({}, 'published')).toMatchObject({ failureClass: 'transient' })
    expect(await thrownBy(() => fetchBundle())).toMatchObject({ failureClass: 'transient' })
    expect([evil.calls, evil.bundleCalls]).toEqual([[], []])
    await until(() => (evil.refusedHandshakes() === 2 ? true : undefined))
  })

  test('an unreadable published bundle is never replaced by the mounted one', async () => {
    await takeOver()
    await pod.putTrustBundle(evil.trustBundle)
    await rm(join(pod.config.tlsFolder, '..data'))
    expect(await failure({}, 'published')).toMatchObject({ code: 'PublishedUnreadable' })
    expect(await thrownBy(() => fetchBundle())).toMatchObject({ code: 'PublishedUnreadable' })
    expect(evil.refusedHandshakes()).toBe(0)
  })

  test('the attacker would get it with the mounted one, which only the first connection trusts', async () => {
    await takeOver()
    await pod.putTrustBundle(evil.trustBundle)
    await run({}, 'mounted')
    expect(evil.calls).toHaveLength(1)
  })
})

const fetchBundle = (): Promise<string> =>
  fetchTrustBundle(pod.config, {
    readTrustBundle: () => readTrustBundle(trustBundleTask(pod.config), 'published'),
    sendTrustBundleRequest: (endpoint) => sendTrustBundleRequest(endpoint, time.signal),
  })

describe('the trust bundle', () => {
  beforeEach(async () => {
    await ensureFolder(pod.config.tlsFolder)
    const store = await openTlsFolder(pod.config.tlsFolder, Date.now())
    await store.publish(await run())
    await rm(pod.config.authorityFolder, { recursive: true }) // nothing mounted is needed, no token either
  })

  test('is the one of the authority, requested without a token', async () => {
    const other = await startAuthority({
      clock: realClock,
      namespace,
      serviceAccount,
      isGood: () => true,
    })
    await other.stop()
    authority.giveTrustBundle(`# new\n${other.trustBundle}${authority.trustBundle}`)
    expect(await fetchBundle()).toBe(other.trustBundle + authority.trustBundle)
    expect(authority.bundleCalls).toHaveLength(1)
    expect(authority.bundleCalls[0]).not.toHaveProperty('authorization')
  })

  test.each([
    ['garbage', 'MalformedResponse'],
    ['huge', 'AnswerTooLarge'],
    ['reset', 'ECONNRESET'],
  ] as const)('that is %s is none', async (kind, code) => {
    authority.fault({ kind })
    expect(await thrownBy(() => fetchBundle())).toMatchObject({
      code,
      failureClass: 'transient',
      message: expect.stringContaining('no trust bundle for ServiceAccount team-a/app: '),
    })
  })

  test.each([
    ['nothing', ''],
    ['no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a leaf', 'leaf'],
    ['too many', 'many'],
  ])('with %s is invalid', async (_, given) => {
    const leaf = (await readCertificate(pod.config.tlsFolder))!.certificate
    const pem =
      given === 'leaf' ? leaf : given === 'many' ? authority.trustBundle.repeat(101) : given
    authority.giveTrustBundle(pem)
    expect(await thrownBy(() => fetchBundle())).toMatchObject({ code: 'TrustBundleMalformed' })
  })

  test('of an authority that refuses is requested again', async () => {
    const message = 'no CA yet'
    authority.fault({ kind: 'refusal', status: 503, code: 'not-ready', message })
    expect(await thrownBy(() => fetchBundle())).toMatchObject({
      code: 'not-ready',
      failureClass: 'transient',
    })
  })
})
