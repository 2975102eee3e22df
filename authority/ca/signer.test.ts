import { createPublicKey, X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createIntermediate, createRoot, newKey } from '../../shared/x509/certificate.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import type { Signer, SigningRequest } from '../signer.ts'
import type { ActiveCa } from './manager.ts'
import { ownCertificate } from './own-certificate.ts'
import { createCaSigner } from './signer.ts'
import { isSignedBy } from './state.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const INTERMEDIATE_SECONDS = 86_400
const URI = 'spiffe://cluster.local/ns/team-a/sa/web'

let active: ActiveCa
let request: SigningRequest
let current: ActiveCa | undefined
let signer: Signer

beforeAll(async () => {
  const root = await createRoot(NOW_MS, 10 * INTERMEDIATE_SECONDS)
  const issuer = await createIntermediate(root, NOW_MS, INTERMEDIATE_SECONDS)
  const own = { dnsNames: ['authority'], nowMs: NOW_MS, lifetimeSeconds: 7200 }
  active = {
    issuer,
    bundlePem: root.chainPem,
    rootExpiresAtMs: root.certificate.validToDate.getTime(),
    server: await ownCertificate(issuer, own),
    previous: undefined,
  }
  const key = createPublicKey(await newKey())
  request = { key, dnsNames: ['web'], uri: URI, nowMs: NOW_MS, lifetimeSeconds: 3600 }
  signer = createCaSigner(() => current)
})

describe('with a CA', () => {
  beforeAll(() => {
    current = active
  })

  test('issues what was requested, with a chain to what peers accept', async () => {
    const { chainPem, bundlePem, notBeforeMs, notAfterMs } = await signer.issue(request)
    const chain = splitPem(chainPem).map((pem) => new X509Certificate(pem))
    const [leaf] = chain
    expect(leaf?.publicKey.equals(request.key)).toBe(true)
    expect(leaf?.subjectAltName).toBe(`URI:${URI}, DNS:web`)
    expect(notAfterMs - notBeforeMs).toBe(3600 * 1000)
    const above = [...chain.slice(1), new X509Certificate(bundlePem)]
    expect(chain.map((one, index) => isSignedBy(one, above[index]!))).toEqual(chain.map(() => true))
    expect(signer.bundlePem()).toBe(bundlePem)
  })

  test('no leaf outlives its CA', async () => {
    const { notAfterMs } = await signer.issue({ ...request, lifetimeSeconds: 365 * 86_400 })
    expect(notAfterMs).toBe(signer.expiries()?.intermediate)
  })

  test('says what expires when', () => {
    expect(signer.expiries()).toEqual({
      root: NOW_MS + 10 * INTERMEDIATE_SECONDS * 1000,
      intermediate: NOW_MS + INTERMEDIATE_SECONDS * 1000,
      server: active.server.expiresAtMs,
    })
  })

  test('that has expired, refuses', async () => {
    const nowMs = NOW_MS + INTERMEDIATE_SECONDS * 1000
    await expect(signer.issue({ ...request, nowMs })).rejects.toMatchObject({ code: 'not-ready' })
  })
})

test('without a CA, refuses and knows nothing', async () => {
  current = undefined
  await expect(signer.issue(request)).rejects.toMatchObject({ code: 'not-ready' })
  expect([signer.bundlePem(), signer.expiries()]).toEqual([undefined, undefined])
})
