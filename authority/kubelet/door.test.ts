import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY } from '../../contract/certificates.ts'
import { POD } from '../../testbed/authority-cluster.ts'
import { AuthorityStage, soon } from '../../testbed/authority-stage.ts'
import { csrDer, newP256 } from '../../testbed/csr.ts'

let stage: AuthorityStage

beforeEach(async () => {
  stage = await AuthorityStage.open()
})

afterEach(() => stage.close())

describe('a kubelet asks', () => {
  const pathOf = (name: string): string =>
    `/apis/certificates.k8s.io/v1/namespaces/team-a/podcertificaterequests/${name}`
  const write = (spec: object, name = 'one'): void => {
    stage.api.store.write(pathOf(name), {
      metadata: { name, namespace: 'team-a', uid: `pcr-${name}` },
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
  const statusOf = (name = 'one'): Record<string, unknown> =>
    stage.api.store.present(pathOf(name))['status'] as Record<string, unknown>

  test('and finds the certificate in the status, once, from either replica', async () => {
    await Promise.all([stage.start(), stage.start()])
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
    // Written once the apiserver's answer is there.
    await soon(() => {
      expect(stage.linesOf('issued')).toHaveLength(1)
    })
  })

  test('and so do a hundred at once, none of which waits for the next look', async () => {
    await stage.start()
    const names = Array.from({ length: 100 }, (_, index) => `r${index}`)
    for (const name of names) write({}, name)
    await soon(() => {
      const done = names.filter((name) => statusOf(name)['certificateChain'] !== undefined)
      expect(done).toHaveLength(names.length)
    })
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
    await stage.start()
    write(spec)
    await soon(() => {
      expect(statusOf()['conditions']).toMatchObject([{ type: 'Denied', status: 'True', reason }])
    })
    expect(Object.keys(statusOf())).toEqual(['conditions'])
  })
})
