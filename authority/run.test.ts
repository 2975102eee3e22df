import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY } from '../contract/certificates.ts'
import { splitPem } from '../shared/x509/pem.ts'
import {
  POD,
  TOKEN,
  tokenLasting,
  writeNamespace,
  writePod,
} from '../test/fakes/authority-cluster.ts'
import { AuthorityHarness, soon, type Ask } from '../test/fakes/authority-harness.ts'
import { csrPem } from '../test/fakes/csr.ts'

let harness: AuthorityHarness

beforeEach(async () => {
  harness = await AuthorityHarness.open()
})

afterEach(() => harness.close())

describe('a pod sends a request', () => {
  test('and has a certificate for its identity and names, below the root in the bundle', async () => {
    const authority = await harness.start()
    const dnsNames = ['web-1.web.team-a.svc', 'web.team-a.svc', 'shop.example.com']
    const { status, body } = await harness.ask(authority, {
      body: { csr: csrPem({ dnsNames }), durationSeconds: 7200 },
    })
    expect(status).toBe(200)
    const [leaf, intermediate] = splitPem(body.certificate).map((pem) => new X509Certificate(pem))
    const root = new X509Certificate(body.trustBundle)
    expect(leaf!.subjectAltName).toBe(
      `URI:spiffe://cluster.local/ns/team-a/sa/web, ${dnsNames.map((name) => `DNS:${name}`).join(', ')}`,
    )
    expect(leaf!.ca).toBe(false)
    expect(leaf!.validToDate.getTime() - leaf!.validFromDate.getTime()).toBe(7_200_000)
    expect(leaf!.verify(intermediate!.publicKey)).toBe(true)
    expect(intermediate!.verify(root.publicKey)).toBe(true)
    expect(root.verify(root.publicKey)).toBe(true)
    expect(harness.lines).toContainEqual(
      expect.objectContaining({
        event: 'issued',
        source: 'authority',
        serial: leaf!.serialNumber.toLowerCase(),
        podUid: POD.uid,
        identity: 'spiffe://cluster.local/ns/team-a/sa/web',
        dnsNames: dnsNames.join(','),
      }),
    )
    expect(JSON.stringify(harness.lines)).not.toContain(TOKEN)
  })

  const REFUSED: [what: string, code: string, status: number, asked: Ask, prepare?: () => void][] =
    [
      ['no JSON', 'request-invalid', 400, { body: '{' }],
      ['null', 'request-invalid', 400, { body: 'null' }],
      ['another path', 'request-invalid', 400, { path: '/v1/other' }],
      ['no CSR', 'request-invalid', 400, { body: { durationSeconds: 3600 } }],
      [
        'too short a life',
        'duration-out-of-bounds',
        400,
        { body: { csr: csrPem(), durationSeconds: 3599 } },
      ],
      [
        'too long a life',
        'duration-out-of-bounds',
        400,
        { body: { csr: csrPem(), durationSeconds: 86_401 } },
      ],
      [
        'a life in words',
        'duration-out-of-bounds',
        400,
        { body: { csr: csrPem(), durationSeconds: '3600' } },
      ],
      ['no PEM', 'csr-invalid', 400, { body: { csr: 'x', durationSeconds: 3600 } }],
      ['a foreign token', 'token-invalid', 401, { token: 'other.claims.signature' }],
      [
        'a token of ten years',
        'token-lifetime-too-long',
        401,
        { token: tokenLasting(87_600 * 3600) },
      ],
      ['no token at all', 'token-invalid', 401, { token: '' }],
      ['a body of 33 KiB', 'too-large', 413, { body: 'x'.repeat(33 * 1024) }],
      [
        'a name of another team',
        'name-not-permitted',
        403,
        { body: { csr: csrPem({ dnsNames: ['web.team-b.svc'] }), durationSeconds: 3600 } },
      ],
      [
        'the name of another pod',
        'name-not-permitted',
        403,
        { body: { csr: csrPem({ dnsNames: ['web-2.web.team-a.svc'] }), durationSeconds: 3600 } },
      ],
      [
        'the name of the authority',
        'name-not-permitted',
        403,
        { body: { csr: csrPem({ dnsNames: [AUTHORITY.host] }), durationSeconds: 3600 } },
      ],
      [
        'the URI of another',
        'csr-invalid',
        400,
        {
          body: {
            csr: csrPem({ uris: ['spiffe://cluster.local/ns/team-b/sa/web'] }),
            durationSeconds: 3600,
          },
        },
      ],
      [
        'a pod that is gone',
        'pod-gone',
        403,
        {},
        () => {
          harness.api.store.remove(`/api/v1/namespaces/team-a/pods/${POD.name}`)
        },
      ],
      [
        'a pod that is another now',
        'pod-gone',
        403,
        {},
        () => {
          writePod(harness.api, { metadata: { uid: 'uid-2' } })
        },
      ],
      [
        'a pod that is being deleted',
        'pod-gone',
        403,
        {},
        () => {
          writePod(harness.api, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })
        },
      ],
      [
        'a pod that has ended',
        'pod-gone',
        403,
        {},
        () => {
          writePod(harness.api, { status: { phase: 'Succeeded' } })
        },
      ],
      [
        'a pod that no scheduler has placed',
        'pod-not-scheduled',
        403,
        {},
        () => {
          writePod(harness.api, { spec: { nodeName: undefined }, status: { phase: 'Pending' } })
        },
      ],
      [
        'a namespace that is not enabled',
        'namespace-not-enabled',
        403,
        {},
        () => {
          harness.api.store.write('/api/v1/namespaces/team-a', { metadata: { name: 'team-a' } })
        },
      ],
      [
        'a broken expression',
        'name-not-permitted',
        403,
        { body: { csr: csrPem({ dnsNames: ['shop.example.com'] }), durationSeconds: 3600 } },
        () => {
          writeNamespace(harness.api, 'team-a', { 'nocreds.dev/permitted-dns-names': '(' })
        },
      ],
      [
        'an apiserver that is away',
        'apiserver-unreachable',
        503,
        {},
        () => {
          harness.api.fault = () => 500
        },
      ],
    ]
  test('and is refused, with the reason in response, log and metric', async () => {
    const authority = await harness.start()
    for (const [what, code, status, asked, prepare] of REFUSED) {
      writePod(harness.api, {})
      writeNamespace(harness.api, 'team-a', {
        'nocreds.dev/permitted-dns-names': '[a-z]+\\.example\\.com',
      })
      prepare?.()
      harness.lines = []
      const answer = await harness.ask(authority, asked)
      expect({ what, code: answer.body.code, status: answer.status }).toEqual({
        what,
        code,
        status,
      })
      expect(answer.body.message.length).toBeGreaterThan(10)
      const [line, ...others] = harness.linesOf('refused')
      expect({ what, reason: line?.['reason'], others }).toEqual({ what, reason: code, others: [] })
    }
    harness.api.fault = () => undefined
    const metrics = await (await fetch(`http://127.0.0.1:${authority.metricsPort}/metrics`)).text()
    expect(metrics).toContain(
      'nocreds_certificate_requests_total{source="authority",result="refused",reason="pod-gone"} 4',
    )
    expect(metrics).toContain(
      'nocreds_authority_certificate_expiry_timestamp_seconds{certificate="root"}',
    )
  })

  test('of two replicas, which share the CA and never a serial', async () => {
    const replicas = await Promise.all([harness.start(), harness.start()])
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => harness.ask(replicas[index % 2]!, {})),
    )
    const serials = answers.map(({ body }) => new X509Certificate(body.certificate).serialNumber)
    expect(new Set(serials).size).toBe(20)
    expect(new Set(answers.map(({ body }) => body.trustBundle)).size).toBe(1)
    expect(splitPem(answers[0]!.body.trustBundle)).toHaveLength(1)
  })
})

describe('the trust bundle', () => {
  test('is returned to every client, with or without a token', async () => {
    const authority = await harness.start()
    const asked = { method: 'GET', path: AUTHORITY.trustBundlePath, token: 'none' } as const
    expect(await harness.ask(authority, asked)).toEqual({
      status: 200,
      body: { trustBundle: harness.roots() },
    })
    expect(harness.linesOf('refused')).toEqual([])
    expect(harness.api.requests.some(({ path }) => path.endsWith('/tokenreviews'))).toBe(false)
  })

  test.each([
    ['POST', AUTHORITY.trustBundlePath],
    ['GET', AUTHORITY.path],
    ['GET', `${AUTHORITY.trustBundlePath}?a=b`],
  ] as const)('is not behind %s %s', async (method, path) => {
    const answer = await harness.ask(await harness.start(), { method, path })
    expect(answer).toMatchObject({ status: 400, body: { code: 'request-invalid' } })
  })
})

test('a client that disconnects before the response can simply retry', async () => {
  const authority = await harness.start()
  const gone = harness.request(authority, {}, () => undefined)
  gone.on('error', () => undefined)
  harness.api.afterRead = () => {
    gone.destroy()
  }
  await soon(() => {
    expect(harness.linesOf('issued')).toHaveLength(1)
  })
  harness.api.afterRead = () => undefined
  expect((await harness.ask(authority)).status).toBe(200)
  const serials = harness.linesOf('issued').map(({ serial }) => serial)
  expect(new Set(serials).size).toBe(2)
})

test('more requests than can wait are told to retry', async () => {
  const authority = await harness.start()
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  harness.api.afterRead = () => held
  // One address: 8 are worked on, 128 wait, the rest asks again.
  const answers = Array.from({ length: 150 }, () => harness.ask(authority))
  await soon(() => {
    expect(harness.lines.filter(({ reason }) => reason === 'not-ready')).toHaveLength(14)
  })
  release()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(136)
  expect(statuses.filter((status) => status === 503)).toHaveLength(14)
})

test('clients that never finish their body do not block others', async () => {
  const authority = await harness.start()
  const slow = Array.from({ length: 100 }, () => harness.beginSlowly(authority))
  await Promise.all(slow.map(({ connected }) => connected))
  expect((await harness.ask(authority)).status).toBe(200)
  for (const { request } of slow) request.destroy()
})

test('its own certificate has the name of --extra-server-name, too', async () => {
  const { port } = await harness.start('--extra-server-name', 'authority.example.com')
  for (const servername of ['authority.example.com', AUTHORITY.host]) {
    const socket = connect({ host: '127.0.0.1', port, servername, ca: harness.roots() })
    await once(socket, 'secureConnect')
    socket.destroy()
  }
})

test('the shortest lifetime: a minute, most of it remaining', async () => {
  const authority = await harness.start(
    '--max-lifetime-seconds',
    '60',
    '--intermediate-lifetime-seconds',
    '3600',
  )
  const { status, body } = await harness.ask(authority)
  expect(status).toBe(200)
  const { validFromDate, validToDate } = new X509Certificate(body.certificate)
  expect(validToDate.getTime() - validFromDate.getTime()).toBe(60_000)
  expect(validToDate.getTime()).toBeGreaterThan(Date.now() + 30_000)
})
