import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import {
  bitString,
  objectId,
  octetString,
  sequence,
  set,
  smallInteger,
  tagged,
  taggedText,
} from './der.ts'
import { toPem } from './pem.ts'

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
} as const

/** GeneralName, dNSName. Source: RFC 5280, section 4.2.1.6. */
const DNS_NAME = 2

/** A new key on P-256. */
export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

/**
 * A PKCS #10 request in PEM, with an empty subject: the authority determines the identity.
 * Source: RFC 2986; RFC 5758 for the signature.
 *
 * @param publicKeyDer SubjectPublicKeyInfo
 * @param dnsNames valid host names; may be none
 */
export function certificateRequest(
  key: KeyObject,
  publicKeyDer: Buffer,
  dnsNames: readonly string[],
): string {
  const attributes = dnsNames.length === 0 ? [] : [extensionRequest(dnsNames)]
  const info = sequence(smallInteger(0), sequence(), publicKeyDer, tagged(0, ...attributes))
  const algorithm = sequence(objectId(OID.ecdsaWithSha256))
  return toPem(
    'CERTIFICATE REQUEST',
    sequence(info, algorithm, bitString(sign('sha256', info, key))),
  )
}

function extensionRequest(dnsNames: readonly string[]): Buffer {
  const names = sequence(...dnsNames.map((name) => taggedText(DNS_NAME, name)))
  const extension = sequence(objectId(OID.subjectAltName), octetString(names))
  return sequence(objectId(OID.extensionRequest), set(sequence(extension)))
}
