import { createPublicKey } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { readCsr } from '../../test/fakes/authority/csr.ts'
import { certificateRequest, newKey } from './csr.ts'
import { der, objectId, taggedText } from './der.ts'

const request = (dnsNames: readonly string[]): [string, string] => {
  const key = newKey()
  const publicKey = createPublicKey(key)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return [
    certificateRequest(key, spki, dnsNames),
    publicKey.export({ type: 'spki', format: 'pem' }) as string,
  ]
}

describe('a request, as OpenSSL reads it', () => {
  test('has the key, the names and nothing else', async () => {
    const [pem, publicPem] = request(['web', 'web.team-a.svc.cluster.local'])
    const csr = (await readCsr(pem))!
    expect(csr.publicKey.export({ type: 'spki', format: 'pem' })).toBe(publicPem)
    expect(csr.dnsNames).toEqual(['web', 'web.team-a.svc.cluster.local'])
    expect(csr.text).toMatch(/Subject: *\n/)
    expect(csr.text).toContain('ASN1 OID: prime256v1')
    expect(csr.text).toContain('Signature Algorithm: ecdsa-with-SHA256')
    expect(csr.text.match(/X509v3 .*/g)).toEqual(['X509v3 Subject Alternative Name: '])
  })

  test('without names has no extension', async () => {
    const csr = (await readCsr(request([])[0]))!
    expect(csr.dnsNames).toEqual([])
    expect(csr.text).not.toContain('X509v3')
  })

  test('that was changed is invalid', async () => {
    const [pem] = request(['web'])
    const [, base64 = ''] = /-----\n([^-]+)\n-----/.exec(pem) ?? []
    const bytes = Buffer.from(base64, 'base64')
    bytes[bytes.indexOf('web')] = 'W'.charCodeAt(0)
    const changed = pem.replace(base64, bytes.toString('base64').replace(/.{64}/g, '$&\n'))
    expect(await readCsr(changed)).toBeUndefined()
  })
})

describe('DER', () => {
  test.each([
    ['1.2.840.10045.4.3.2', '06082a8648ce3d040302'],
    ['1.2.840.113549.1.9.14', '06092a864886f70d01090e'],
    ['2.5.29.17', '0603551d11'],
  ])('object id %s', (dotted, hex) => {
    expect(objectId(dotted).toString('hex')).toBe(hex)
  })

  test.each([
    [0, '3000'],
    [127, '307f'],
    [128, '308180'],
    [255, '3081ff'],
    [256, '30820100'],
    [65_536, '3083010000'],
  ])('a length of %d', (length, hex) => {
    const element = der(0x30, Buffer.alloc(length))
    expect(element.toString('hex', 0, element.length - length)).toBe(hex)
  })

  test('a tagged text', () => {
    expect(taggedText(2, 'web').toString('hex')).toBe('8203776562')
  })
})
