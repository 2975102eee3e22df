import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY } from '../../contract/certificates.ts'
import { POD, writePod } from '../../test/fakes/authority-cluster.ts'
import { AuthorityHarness, soon } from '../../test/fakes/authority-harness.ts'
import { csrDer, newP256 } from '../../test/fakes/csr.ts'

let harness: AuthorityHarness

const DNS_NAMES = 'nocreds.dev/certificate-dns-names'
type Annotations = Readonly<Record<string, string>>

/** The pod of the requests, as its author wrote it. */
function writeAsking(
  annotations: Annotations = {},
  signerName: string = AUTHORITY.signerName,
): void {
  const userAnnotations =
    Object.keys(annotations).length === 0 ? {} : { userAnnotations: annotations }
  const podCertificate = { signerName, keyType: 'ECDSAP256', ...userAnnotations }
  writePod(harness.api, { spec: { volumes: [{ projected: { sources: [{ podCertificate }] } }] } })
}

beforeEach(async () => {
  harness = await AuthorityHarness.open()
  writeAsking()
})

afterEach(() => harness.close())

describe('a kubelet sends a request', () => {
  const pathOf = (name: string): string =>
    `/apis/certificates.k8s.io/v1/namespaces/team-a/podcertificaterequests/${name}`
  const write = (spec: object, name = 'one'): void => {
    harness.api.store.write(pathOf(name), {
      metadata: { name, namespace: 'team-a', uid: `pcr-${name}` },
      spec: {
        signerName: AUTHORITY.signerName,
        podName: POD.name,
        podUID: POD.uid,
        serviceAccountName: POD.serviceAccount,
        nodeName: POD.node,
        maxExpirationSeconds: 7200,
        stubPKCS10Request: csrDer({ key: newP256() }).toString('base64'),
        ...spec,
      },
      status: {},
    })
  }
  const statusOf = (name = 'one'): Record<string, unknown> =>
    harness.api.store.present(pathOf(name))['status'] as Record<string, unknown>

  test('and finds the certificate in the status, once, from either replica', async () => {
    await Promise.all([harness.start(), harness.start()])
    const unverifiedUserAnnotations = { [DNS_NAMES]: '{pod}.web.team-a.svc, a.example.com' }
    writeAsking(unverifiedUserAnnotations)
    write({ unverifiedUserAnnotations })
    await soon(() => {
      expect(statusOf()['certificateChain']).toBeDefined()
    })
    const status = statusOf()
    const leaf = new X509Certificate(status['certificateChain'] as string)
    expect(leaf.subjectAltName).toBe(
      'URI:spiffe://cluster.local/ns/team-a/sa/web, DNS:web-1.web.team-a.svc, DNS:a.example.com',
    )
    expect(Date.parse(status['notBefore'] as string)).toBe(leaf.validFromDate.getTime())
    expect(Date.parse(status['notAfter'] as string)).toBe(leaf.validToDate.getTime())
    expect(Date.parse(status['beginRefreshAt'] as string)).toBe(
      leaf.validFromDate.getTime() + 3_600_000,
    )
    expect(status['conditions']).toMatchObject([
      { type: 'Issued', status: 'True', reason: 'Issued' },
    ])
    // Written once the apiserver's answer is there.
    await soon(() => {
      expect(harness.linesOf('issued')).toHaveLength(1)
    })
  })

  test('and so do a hundred at once, without waiting for the next retry', async () => {
    await harness.start()
    const names = Array.from({ length: 100 }, (_, index) => `r${index}`)
    for (const name of names) write({}, name)
    await soon(() => {
      const done = names.filter((name) => statusOf(name)['certificateChain'] !== undefined)
      expect(done).toHaveLength(names.length)
    })
  })

  test.each<[reason: string, spec: { unverifiedUserAnnotations?: Annotations }]>([
    ['NameNotPermitted', { unverifiedUserAnnotations: { [DNS_NAMES]: 'a.b' } }],
    ['RequestInvalid', { unverifiedUserAnnotations: { 'nocreds.dev/other': 'a' } }],
    ['RequestInvalid', { unverifiedUserAnnotations: { [DNS_NAMES]: '*.b' } }],
    ['CsrInvalid', { stubPKCS10Request: 'AAAA' } as object],
    ['PodGone', { podUID: 'uid-2' } as object],
    ['PodGone', { serviceAccountName: 'other' } as object],
    ['NodeMismatch', { nodeName: 'node-2' } as object],
    ['NodeMismatch', { nodeName: undefined } as object],
  ])('and is denied permanently: %s', async (reason, spec) => {
    await harness.start()
    writeAsking(spec.unverifiedUserAnnotations)
    write(spec)
    await soon(() => {
      expect(statusOf()['conditions']).toMatchObject([{ type: 'Denied', status: 'True', reason }])
    })
    expect(Object.keys(statusOf())).toEqual(['conditions'])
  })

  test.each<[what: string, prepare: () => void, spec: object]>([
    [
      'never asked',
      () => {
        writePod(harness.api, {})
      },
      {},
    ],
    [
      'asks another signer',
      () => {
        writeAsking({}, 'example.com/other')
      },
      {},
    ],
    [
      'asks for other names',
      () => {
        writeAsking({ [DNS_NAMES]: 'web' })
      },
      { unverifiedUserAnnotations: { [DNS_NAMES]: 'a.example.com' } },
    ],
    [
      'asks for names',
      () => {
        writeAsking({ [DNS_NAMES]: 'web' })
      },
      {},
    ],
  ])(
    'and is denied for a pod that %s: someone else wrote the request',
    async (_, prepare, spec) => {
      await harness.start()
      prepare()
      write(spec)
      await soon(() => {
        expect(statusOf()['conditions']).toMatchObject([
          { type: 'Denied', reason: 'RequestInvalid' },
        ])
      })
    },
  )

  test('without a spec: that request is denied, and the next one is processed', async () => {
    await harness.start()
    harness.api.store.write(pathOf('none'), {
      metadata: { name: 'none', namespace: 'team-a' },
      spec: { signerName: AUTHORITY.signerName },
    })
    write({})
    await soon(() => {
      expect(statusOf()['certificateChain']).toBeDefined()
      expect(statusOf('none')['conditions']).toMatchObject([{ type: 'Denied' }])
    })
  })

  test('while the apiserver refuses reads: the request stays pending and is retried', async () => {
    await harness.start()
    harness.api.fault = ({ path }) =>
      path.endsWith('/podcertificaterequests/one') ? 500 : undefined
    write({})
    await soon(() => {
      expect(harness.linesOf('refused')).toMatchObject([{ reason: 'apiserver-unreachable' }])
    })
    expect(statusOf()).toEqual({})
  })
})
