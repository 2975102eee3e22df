import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { der, TAG } from '../shared/x509/der.ts'
import { OID } from '../shared/x509/oids.ts'
import { elementsOf, readDer } from '../shared/x509/read-der.ts'
import { csrDer, csrPem, extensionOf, newP256 } from '../test/fakes/csr.ts'
import { seededRandom } from '../test/fakes/virtual-clock.ts'
import { csrFromPem, readCsr } from './csr.ts'
import { Refusal } from './refusal.ts'

const key = newP256()

function refusalOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'csr-invalid') return error.message
    throw error
  }
  throw new Error('it was taken')
}

function rsa(modulusLength: number, publicExponent = 65_537): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey
}

describe('takes', () => {
  test.each<[string, KeyObject]>([
    ['EC P-256', key],
    ['EC P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['Ed25519', generateKeyPairSync('ed25519').privateKey],
    ['RSA 2048', rsa(2048)],
  ])('a key %s', (_, one) => {
    const { dnsNames, uris } = readCsr(
      csrDer({ key: one, dnsNames: ['web', 'a.b'], uris: ['u:1'] }),
    )
    expect({ dnsNames, uris }).toEqual({ dnsNames: ['web', 'a.b'], uris: ['u:1'] })
  })

  test('one without names, and with ignored attributes and extensions', () => {
    const challenge = der(
      TAG.sequence,
      der(TAG.oid, Buffer.from('2a864886f70d010907', 'hex')),
      der(TAG.set, der(TAG.utf8String, Buffer.from('secret'))),
    )
    expect(readCsr(csrDer({ key })).dnsNames).toEqual([])
    expect(readCsr(csrDer({ key, attributes: [challenge] })).dnsNames).toEqual([])
    const keyUsage = extensionOf(OID.keyUsage, der(TAG.bitString, Buffer.from([1, 6])))
    const notCa = extensionOf(OID.basicConstraints, der(TAG.sequence))
    expect(
      readCsr(csrDer({ key, extensions: [keyUsage, notCa], dnsNames: ['web'] })).dnsNames,
    ).toEqual(['web'])
  })

  test('20 names, and PEM with any line ends', () => {
    const dnsNames = Array.from({ length: 20 }, (_, index) => `n${index}`)
    const pem = csrPem({ key, dnsNames }).replaceAll('\n', '\r\n')
    expect(readCsr(csrFromPem(`\n${pem}\n`)).dnsNames).toEqual(dnsNames)
  })
})

describe('refuses', () => {
  const ca = der(TAG.sequence, der(TAG.boolean, Buffer.from([0xff])))
  const otherName = der(0xa0, oidAndText())
  function oidAndText(): Buffer {
    return Buffer.concat([OID.commonName, der(0xa0, der(TAG.utf8String, Buffer.from('x')))])
  }
  const request = der(TAG.sequence, OID.extensionRequest, der(TAG.set, der(TAG.sequence)))
  test.each<[string, () => Buffer, string]>([
    ['RSA 1024', () => csrDer({ key: rsa(1024) }), 'key is not allowed'],
    ['RSA with exponent 3', () => csrDer({ key: rsa(2048, 3) }), 'key is not allowed'],
    [
      'an unknown curve',
      () => csrDer({ key: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey }),
      'key is not allowed',
    ],
    [
      'P-521',
      () => csrDer({ key: generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey }),
      'key is not allowed',
    ],
    [
      'a CA',
      () => csrDer({ key, extensions: [extensionOf(OID.basicConstraints, ca)] }),
      'a CA certificate',
    ],
    [
      'an IP address',
      () => csrDer({ key, otherNames: [der(0x87, Buffer.from([10, 0, 0, 1]))] }),
      'an IP address',
    ],
    [
      'an email address',
      () => csrDer({ key, otherNames: [der(0x81, Buffer.from('a@b.c'))] }),
      'an email address',
    ],
    ['an otherName', () => csrDer({ key, otherNames: [otherName] }), 'another kind'],
    ['a wildcard', () => csrDer({ key, dnsNames: ['*.b.c'] }), 'not a host name'],
    ['upper case', () => csrDer({ key, dnsNames: ['Web'] }), 'not a host name'],
    ['an empty name', () => csrDer({ key, dnsNames: [''] }), 'not a host name'],
    ['a NUL within a name', () => csrDer({ key, dnsNames: ['a\0.b'] }), 'not a host name'],
    ['a trailing dot', () => csrDer({ key, dnsNames: ['a.b.'] }), 'not a host name'],
    [
      '21 names',
      () => csrDer({ key, dnsNames: Array.from({ length: 21 }, (_, i) => `n${i}`) }),
      'more than 20',
    ],
    ['two URIs', () => csrDer({ key, uris: ['a:1', 'a:2'] }), 'one URI'],
    [
      'two extensionRequests',
      () => csrDer({ key, dnsNames: ['a'], attributes: [request] }),
      'more than one extensionRequest',
    ],
    [
      'an extension twice',
      () =>
        csrDer({
          key,
          dnsNames: ['a'],
          extensions: [extensionOf(OID.subjectAltName, der(TAG.sequence))],
        }),
      'occurs twice',
    ],
    [
      'the algorithm of another key',
      () => csrDer({ key, algorithm: der(TAG.sequence, OID.ed25519) }),
      'signature algorithm',
    ],
    [
      'SHA-1',
      () =>
        csrDer({
          key,
          algorithm: der(TAG.sequence, der(TAG.oid, Buffer.from('2a8648ce3d0401', 'hex'))),
        }),
      'signature algorithm',
    ],
    [
      'a byte behind it',
      () => Buffer.concat([csrDer({ key }), Buffer.from([0])]),
      'it ends within',
    ],
    [
      'another one behind it',
      () => Buffer.concat([csrDer({ key }), csrDer({ key })]),
      'not one element',
    ],
    [
      'a foreign signature',
      () => withSignatureOf(csrDer({ key }), csrDer({ key: newP256() })),
      'not signed by its own key',
    ],
    ['nothing', () => Buffer.alloc(0), 'not one element'],
    ['deep nesting', () => nested(200), 'deep'],
    ['more than 16 KiB', () => Buffer.alloc(16_385), 'at most 16384'],
  ])('%s', (_, make, why) => {
    expect(refusalOf(() => readCsr(make()))).toContain(why)
  })

  test.each([
    ['text', 'hello'],
    ['two requests', csrPem({ key }) + csrPem({ key })],
    ['another label', csrPem({ key }).replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')],
    ['headers', csrPem({ key }).replace('\n', '\nProc-Type: 4\n\n')],
    ['malformed base64', csrPem({ key }).replace(/=*\n-----END/, '=A\n-----END')],
    ['much', `${csrPem({ key })}${' '.repeat(16_384)}`],
  ])('PEM that is %s', (_, pem) => {
    expect(refusalOf(() => csrFromPem(pem))).toContain('the CSR is invalid')
  })
})

function nested(depth: number): Buffer {
  let bytes: Buffer = der(TAG.sequence)
  for (let level = 0; level < depth; level += 1) bytes = der(TAG.sequence, bytes)
  return bytes
}

function withSignatureOf(request: Buffer, other: Buffer): Buffer {
  const [info, algorithm] = elementsOf(readDer(request).content)
  const signature = elementsOf(readDer(other).content)[2]
  return der(TAG.sequence, info!.whole, algorithm!.whole, signature!.whole)
}

describe('DER', () => {
  test('has one interpretation: what is read is what would be written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const { tag, content, whole } = readDer(Buffer.from(bytes))
          expect(der(tag, content).equals(whole)).toBe(true)
        } catch (error) {
          expect(String(error)).toContain('Error: ')
        }
      }),
      { numRuns: 20_000 },
    )
  })

  test.each([
    ['an indefinite length', '3080'],
    ['a long form for a short length', '308100'],
    ['leading zeros in a length', '30820001' + '00'],
    ['an INTEGER with leading zeros', '020200' + '01'],
    ['a BOOLEAN of another truth', '010101'],
    ['a tag of two bytes', '1f8100'],
  ])('%s is refused', (_, hex) => {
    expect(() => readDer(Buffer.from(hex, 'hex'))).toThrow()
  })
})

/** Bytes changed, dropped, doubled, swapped; or noise in the form of DER. */
describe('fuzz', () => {
  const CASES = 105_000
  const seeds = [
    csrDer({ key, dnsNames: ['web', 'web.team-a.svc'] }),
    csrDer({ key, uris: ['spiffe://cluster.local/ns/a/sa/b'], dnsNames: ['a'] }),
    csrDer({ key: generateKeyPairSync('ed25519').privateKey, dnsNames: ['b'] }),
    csrDer({ key }),
  ]

  test('100,000 hostile requests: none crashes it, none is accepted', () => {
    const random = seededRandom(20_261_125)
    const below = (most: number): number => Math.floor(random() * most)
    const outcomes = new Map<string, number>()
    for (let index = 0; index < CASES; index += 1) {
      const seed = seeds[index % seeds.length]!
      const bytes = index % 10 === 9 ? noise(below, 0) : mutated(seed, below)
      if (seeds.some((one) => one.equals(bytes))) continue
      const why = refusalOf(() => readCsr(bytes)).slice(0, 60)
      outcomes.set(why, (outcomes.get(why) ?? 0) + 1)
    }
    const total = [...outcomes.values()].reduce((sum, count) => sum + count, 0)
    process.stdout.write(`CSR fuzz: ${total} cases, ${outcomes.size} different reasons\n`)
    expect(total).toBeGreaterThanOrEqual(100_000)
    expect(outcomes.size).toBeGreaterThan(10)
    for (const seed of seeds) expect(() => readCsr(seed)).not.toThrow()
  }, 120_000)
})

function mutated(seed: Buffer, below: (most: number) => number): Buffer {
  let bytes = Buffer.from(seed)
  for (let change = below(3); change >= 0; change -= 1) {
    const at = below(bytes.length)
    switch (below(6)) {
      case 0:
        bytes[at] = below(256)
        break
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(4))])
        break
      case 3:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from([below(256)]),
          bytes.subarray(at),
        ])
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(bytes.length))])
        break
      default:
        bytes = bytes.subarray(0, Math.max(1, at))
    }
    if (bytes.length === 0) return Buffer.from([0])
  }
  return bytes
}

const TAGS = [...Object.values(TAG), 0xa0, 0x82, 0x86]

function noise(below: (most: number) => number, depth: number): Buffer {
  const tag = TAGS[below(TAGS.length)]!
  if (depth > 5 || (tag & 0x20) === 0) {
    return der(tag, Buffer.from(Array.from({ length: below(12) }, () => below(256))))
  }
  return der(tag, ...Array.from({ length: below(5) }, () => noise(below, depth + 1)))
}
