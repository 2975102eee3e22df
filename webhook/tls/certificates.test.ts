import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createCa, issueLeaf, type Issued } from './certificates.ts'

const NOW = Date.UTC(2026, 5, 1, 12)
const DAY = 86_400
const NAMES = [
  'nocreds-webhook.nocreds-system.svc',
  'nocreds-webhook.nocreds-system.svc.cluster.local',
]

let ca: Issued
let leaf: Issued

beforeAll(async () => {
  ca = await createCa({ nowMs: NOW, lifetimeSeconds: 365 * DAY })
  leaf = await issueLeaf({
    ca,
    dnsNames: NAMES,
    nowMs: NOW,
    lifetimeSeconds: 7 * DAY,
  })
})

const read = ({ certPem }: Issued): X509Certificate => new X509Certificate(certPem)

describe('the CA', () => {
  test('signs itself, may sign leaves and nothing below them', () => {
    const certificate = read(ca)
    expect(certificate.ca).toBe(true)
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(certificate.checkIssued(certificate)).toBe(true)
    // DER of basicConstraints: SEQUENCE { BOOLEAN TRUE, INTEGER 0 } (RFC 5280, 4.2.1.9).
    expect(certificate.raw.includes(Buffer.from('30060101ff020100', 'hex'))).toBe(true)
    // DER of keyUsage keyCertSign and cRLSign: BIT STRING, one unused bit, 0000011 (RFC 5280, 4.2.1.3).
    expect(certificate.raw.includes(Buffer.from('03020106', 'hex'))).toBe(true)
  })

  test('is valid from a minute ago to the end of its lifetime', () => {
    expect(read(ca).validFromDate.getTime()).toBe(NOW - 60_000)
    expect(read(ca).validToDate.getTime()).toBe(NOW + 365 * DAY * 1000)
  })

  test('has a name of its own, so that a bundle of two is never ambiguous', async () => {
    const other = await createCa({ nowMs: NOW, lifetimeSeconds: DAY })
    expect(read(other).subject).not.toBe(read(ca).subject)
    expect(read(leaf).checkIssued(read(other))).toBe(false)
  })
})

describe('the serving certificate', () => {
  test('is signed by the CA, for its names and for a TLS server only', () => {
    const certificate = read(leaf)
    expect(certificate.checkIssued(read(ca))).toBe(true)
    expect(certificate.verify(read(ca).publicKey)).toBe(true)
    expect(certificate.ca).toBe(false)
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']) // serverAuth
    for (const name of NAMES) expect(certificate.checkHost(name)).toBe(name)
    expect(certificate.checkHost('nocreds-webhook')).toBeUndefined()
    expect(certificate.subjectAltName).toBe(NAMES.map((name) => `DNS:${name}`).join(', '))
  })

  test('comes with its own P-256 key, and is for that key', () => {
    const certificate = read(leaf)
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
    expect(certificate.checkPrivateKey(createPrivateKey(leaf.keyPem))).toBe(true)
    // DER of keyUsage digitalSignature alone: BIT STRING, seven unused bits, 1 (RFC 5480, section 3).
    expect(certificate.raw.includes(Buffer.from('03020780', 'hex'))).toBe(true)
  })

  test('holds together whatever the bits of the key look like', async () => {
    // Some keys look like DER inside their BIT STRING; each of them must come through unchanged.
    const more = await Promise.all(
      Array.from({ length: 300 }, () =>
        issueLeaf({ ca, dnsNames: NAMES, nowMs: NOW, lifetimeSeconds: DAY }),
      ),
    )
    for (const one of more) {
      expect(read(one).checkPrivateKey(createPrivateKey(one.keyPem))).toBe(true)
      expect(read(one).verify(read(ca).publicKey)).toBe(true)
    }
  })

  test('names key and CA by their identifiers (RFC 5280, 4.2.1.1 and 4.2.1.2)', () => {
    const spki = read(leaf).publicKey.export({ type: 'spki', format: 'der' })
    const keyId = createHash('sha256').update(spki.subarray(-65)).digest().subarray(0, 20)
    expect(read(leaf).raw.includes(Buffer.concat([Buffer.from('04160414', 'hex'), keyId]))).toBe(
      true,
    )
    const [, ofCa = ''] = /04160414(.{40})/.exec(read(ca).raw.toString('hex')) ?? []
    expect(read(leaf).raw.toString('hex')).toContain(`30168014${ofCa}`)
  })

  test('never outlives its CA', async () => {
    const nowMs = NOW + 360 * DAY * 1000
    const late = await issueLeaf({
      ca,
      dnsNames: NAMES,
      nowMs,
      lifetimeSeconds: 7 * DAY,
    })
    expect(read(late).validToDate.getTime()).toBe(read(ca).validToDate.getTime())
  })

  test('may be for an address, for loopback', async () => {
    const local = await issueLeaf({
      ca,
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      nowMs: NOW,
      lifetimeSeconds: DAY,
    })
    expect(read(local).checkIP('127.0.0.1')).toBe('127.0.0.1')
  })

  test('is valid past 2050, where X.509 has another date format', async () => {
    const nowMs = Date.UTC(2049, 11, 31)
    const far = await createCa({ nowMs, lifetimeSeconds: 10 * DAY })
    expect(read(far).validToDate.getTime()).toBe(nowMs + 10 * DAY * 1000)
  })
})

test('serials are positive, 128 bits long and distinct (RFC 5280, 4.1.2.2)', async () => {
  const more = await Promise.all(
    Array.from({ length: 4 }, () => createCa({ nowMs: NOW, lifetimeSeconds: DAY })),
  )
  const serials = [ca, leaf, ...more].map((issued) => read(issued).serialNumber)
  expect(new Set(serials).size).toBe(serials.length)
  for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/)
})
