import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY, TRUST_BUNDLE, type IssuedCertificate } from '../contract/certificates.ts'
import { realClock } from '../platform/clock.ts'
import type { LogFields, Logger } from '../platform/log.ts'
import type { FakeApiserver } from '../testbed/apiserver.ts'
import {
  authorityCluster,
  kubeOf,
  POD,
  SECRET_PATH,
  TOKEN,
  writeNamespace,
  writePod,
} from '../testbed/authority-cluster.ts'
import { csrDer, csrPem, newP256 } from '../testbed/csr.ts'
import { eventually } from '../testbed/eventually.ts'
import { splitPem } from '../service/pem.ts'
import { parseFlags } from './config.ts'
import { startAuthority, type RunningAuthority } from './run.ts'

let api: FakeApiserver
let lines: LogFields[]
const running: RunningAuthority[] = []

beforeEach(async () => {
  api = await authorityCluster()
  lines = []
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
  await api.stop()
})

/** Waits until the assertion holds. */
async function soon(assertion: () => void): Promise<void> {
  await eventually(() => {
    try {
      assertion()
      return true
    } catch {
      return false
    }
  })
}

/** Everything real but the 5 seconds of the drain. */
const clock = {
  ...realClock,
  after: (delayMs: number, action: () => void) =>
    realClock.after(delayMs === 5000 ? 0 : delayMs, action),
}

async function start(...flags: string[]): Promise<RunningAuthority> {
  const note = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const config = parseFlags(['--port', '0', '--metrics-port', '0', ...flags])
  const deps = { clock, random: Math.random, log, kube: kubeOf(api) }
  const authority = await startAuthority(config, deps)
  running.push(authority)
  await soon(() => {
    expect(authority.isReady()).toBe(true)
  })
  return authority
}

interface Answer {
  readonly status: number
  readonly body: IssuedCertificate & { readonly code: string; readonly message: string }
}

function rootOf(): string {
  const { data } = api.store.present(SECRET_PATH) as unknown as { data: Record<string, string> }
  return Buffer.from(data['ca.crt'] ?? '', 'base64').toString()
}

interface Ask {
  readonly body?: unknown
  readonly token?: string
  readonly path?: string
}

function ask({ port }: RunningAuthority, asked: Ask): Promise<Answer> {
  const { body = { csr: csrPem(), durationSeconds: 3600 }, token = TOKEN } = asked
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path: asked.path ?? AUTHORITY.path,
        method: 'POST',
        ca: rootOf(),
        servername: AUTHORITY.host,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      },
      (response) => {
        text(response).then((said) => {
          const status = response.statusCode ?? 0
          resolve({ status, body: JSON.parse(said) as Answer['body'] })
        }, reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
}

describe('a pod asks', () => {
  test('and has a certificate for its identity and names, below the root in the bundle', async () => {
    const authority = await start()
    const dnsNames = ['web', 'web.team-a.svc', 'shop.example.com']
    const { status, body } = await ask(authority, {
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
    expect(lines).toContainEqual(
      expect.objectContaining({
        event: 'issued',
        door: 'authority',
        serial: leaf!.serialNumber.toLowerCase(),
        podUid: POD.uid,
        identity: 'spiffe://cluster.local/ns/team-a/sa/web',
        dnsNames: dnsNames.join(','),
      }),
    )
    expect(JSON.stringify(lines)).not.toContain(TOKEN)
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
      ['no token at all', 'token-invalid', 401, { token: '' }],
      ['a body of 33 KiB', 'too-large', 413, { body: 'x'.repeat(33 * 1024) }],
      [
        'a name of another team',
        'name-not-permitted',
        403,
        { body: { csr: csrPem({ dnsNames: ['web.team-b.svc'] }), durationSeconds: 3600 } },
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
          api.store.remove(`/api/v1/namespaces/team-a/pods/${POD.name}`)
        },
      ],
      [
        'a pod that is another now',
        'pod-gone',
        403,
        {},
        () => {
          writePod(api, { metadata: { uid: 'uid-2' } })
        },
      ],
      [
        'a pod that is being deleted',
        'pod-gone',
        403,
        {},
        () => {
          writePod(api, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })
        },
      ],
      [
        'a pod that has ended',
        'pod-gone',
        403,
        {},
        () => {
          writePod(api, { status: { phase: 'Succeeded' } })
        },
      ],
      [
        'a namespace that takes no part',
        'namespace-not-enabled',
        403,
        {},
        () => {
          api.store.write('/api/v1/namespaces/team-a', { metadata: { name: 'team-a' } })
        },
      ],
      [
        'a broken expression',
        'name-not-permitted',
        403,
        { body: { csr: csrPem({ dnsNames: ['shop.example.com'] }), durationSeconds: 3600 } },
        () => {
          writeNamespace(api, 'team-a', { 'nocreds.dev/permitted-dns-names': '(' })
        },
      ],
      [
        'an apiserver that is away',
        'apiserver-unreachable',
        503,
        {},
        () => {
          api.fault = () => 500
        },
      ],
    ]
  test('and is refused, with the reason in answer, log and metric', async () => {
    const authority = await start()
    for (const [what, code, status, asked, prepare] of REFUSED) {
      writePod(api, {})
      writeNamespace(api, 'team-a', { 'nocreds.dev/permitted-dns-names': '[a-z]+\\.example\\.com' })
      prepare?.()
      lines = []
      const answer = await ask(authority, asked)
      expect({ what, code: answer.body.code, status: answer.status }).toEqual({
        what,
        code,
        status,
      })
      expect(answer.body.message.length).toBeGreaterThan(10)
      const [line, ...others] = lines.filter(({ event }) => event === 'refused')
      expect({ what, reason: line?.['reason'], others }).toEqual({ what, reason: code, others: [] })
    }
    api.fault = () => undefined
    const metrics = await (await fetch(`http://127.0.0.1:${authority.metricsPort}/metrics`)).text()
    expect(metrics).toContain(
      'nocreds_certificates_issued_total{door="authority",result="refused",reason="pod-gone"} 4',
    )
    expect(metrics).toContain(
      'nocreds_authority_certificate_expiry_timestamp_seconds{certificate="root"}',
    )
  })

  test('of two replicas, which share the CA and never a serial', async () => {
    const replicas = await Promise.all([start(), start()])
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ask(replicas[index % 2]!, {})),
    )
    const serials = answers.map(({ body }) => new X509Certificate(body.certificate).serialNumber)
    expect(new Set(serials).size).toBe(20)
    expect(new Set(answers.map(({ body }) => body.trustBundle)).size).toBe(1)
    expect(splitPem(answers[0]!.body.trustBundle)).toHaveLength(1)
  })
})

test('a client that breaks off before the answer simply asks again', async () => {
  const authority = await start()
  const gone = request({
    host: '127.0.0.1',
    port: authority.port,
    path: AUTHORITY.path,
    method: 'POST',
    ca: rootOf(),
    servername: AUTHORITY.host,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
  })
  gone.on('error', () => undefined)
  api.afterRead = () => {
    gone.destroy()
  }
  gone.end(JSON.stringify({ csr: csrPem(), durationSeconds: 3600 }))
  await soon(() => {
    expect(lines.filter(({ event }) => event === 'issued')).toHaveLength(1)
  })
  api.afterRead = () => undefined
  expect((await ask(authority, {})).status).toBe(200)
  const serials = lines.filter(({ event }) => event === 'issued').map(({ serial }) => serial)
  expect(new Set(serials).size).toBe(2)
})

test('more requests at once than are worked on are told to ask again', async () => {
  const authority = await start()
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  api.afterRead = () => held
  const answers = Array.from({ length: 80 }, () => ask(authority, {}))
  await soon(() => {
    expect(lines.filter(({ reason }) => reason === 'not-ready')).toHaveLength(16)
  })
  release()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(64)
  expect(statuses.filter((status) => status === 503)).toHaveLength(16)
})

test('the shortest life: a minute, most of it ahead', async () => {
  const authority = await start(
    '--max-lifetime-seconds',
    '60',
    '--intermediate-lifetime-seconds',
    '3600',
  )
  const { status, body } = await ask(authority, {})
  expect(status).toBe(200)
  const { validFromDate, validToDate } = new X509Certificate(body.certificate)
  expect(validToDate.getTime() - validFromDate.getTime()).toBe(60_000)
  expect(validToDate.getTime()).toBeGreaterThan(Date.now() + 30_000)
})

describe('trust bundles', () => {
  const pathIn = (namespace: string): string =>
    `/api/v1/namespaces/${namespace}/configmaps/${TRUST_BUNDLE.configMap}`
  const bundleIn = (namespace: string): unknown => api.store.get(pathIn(namespace))?.['data']

  test('stand where the label is, are mended, and go with it', async () => {
    await start()
    const wanted = { [TRUST_BUNDLE.key]: rootOf() }
    await soon(() => {
      expect(bundleIn('team-a')).toEqual(wanted)
    })
    expect(api.store.present(pathIn('team-a')).metadata['ownerReferences']).toEqual([
      expect.objectContaining({ kind: 'ClusterRole', uid: 'uid-of-the-role' }),
    ])
    writeNamespace(api, 'team-c', {})
    await soon(() => {
      expect(bundleIn('team-c')).toEqual(wanted)
    })
    api.store.write(pathIn('team-c'), { ...api.store.present(pathIn('team-c')), data: { a: 'b' } })
    await soon(() => {
      expect(bundleIn('team-c')).toEqual(wanted)
    })
    api.store.write('/api/v1/namespaces/team-c', { metadata: { name: 'team-c' } })
    await soon(() => {
      expect(bundleIn('team-c')).toBeUndefined()
    })
    expect(bundleIn('team-b')).toBeUndefined()
  })
})

describe('a kubelet asks', () => {
  const path = '/apis/certificates.k8s.io/v1/namespaces/team-a/podcertificaterequests/one'
  const write = (spec: object): void => {
    api.store.write(path, {
      metadata: { name: 'one', namespace: 'team-a', uid: 'pcr-1' },
      spec: {
        signerName: AUTHORITY.signerName,
        podName: POD.name,
        podUID: POD.uid,
        serviceAccountName: POD.serviceAccount,
        maxExpirationSeconds: 7200,
        stubPKCS10Request: csrDer({ key: newP256() }).toString('base64'),
        ...spec,
      },
      status: {},
    })
  }
  const statusOf = (): Record<string, unknown> =>
    api.store.present(path)['status'] as Record<string, unknown>

  test('and finds the certificate in the status, once, from either replica', async () => {
    await Promise.all([start(), start()])
    write({
      unverifiedUserAnnotations: { 'nocreds.dev/certificate-dns-names': 'web, a.example.com' },
    })
    await soon(() => {
      expect(statusOf()['certificateChain']).toBeDefined()
    })
    const status = statusOf()
    const leaf = new X509Certificate(status['certificateChain'] as string)
    expect(leaf.subjectAltName).toBe(
      'URI:spiffe://cluster.local/ns/team-a/sa/web, DNS:web, DNS:a.example.com',
    )
    expect(Date.parse(status['notBefore'] as string)).toBe(leaf.validFromDate.getTime())
    expect(Date.parse(status['notAfter'] as string)).toBe(leaf.validToDate.getTime())
    expect(Date.parse(status['beginRefreshAt'] as string)).toBe(
      leaf.validFromDate.getTime() + 3_600_000,
    )
    expect(status['conditions']).toMatchObject([
      { type: 'Issued', status: 'True', reason: 'Issued' },
    ])
    expect(lines.filter(({ event }) => event === 'issued')).toHaveLength(1)
  })

  test.each([
    [
      'NameNotPermitted',
      { unverifiedUserAnnotations: { 'nocreds.dev/certificate-dns-names': 'a.b' } },
    ],
    ['RequestInvalid', { unverifiedUserAnnotations: { 'nocreds.dev/other': 'a' } }],
    [
      'RequestInvalid',
      { unverifiedUserAnnotations: { 'nocreds.dev/certificate-dns-names': '*.b' } },
    ],
    ['CsrInvalid', { stubPKCS10Request: 'AAAA' }],
    ['PodGone', { podUID: 'uid-2' }],
  ])('and is denied for good: %s', async (reason, spec) => {
    await start()
    write(spec)
    await soon(() => {
      expect(statusOf()['conditions']).toMatchObject([{ type: 'Denied', status: 'True', reason }])
    })
    expect(Object.keys(statusOf())).toEqual(['conditions'])
  })
})
