/** Test double: requests for certificates, as a pod or a stranger makes them. Never shipped. */
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { der, TAG } from '../../shared/x509/der.ts'
import { OID } from '../../shared/x509/oids.ts'
import { toPem } from '../../shared/x509/pem.ts'

export interface CsrOptions {
  /** Private; a new P-256 key if none is given. */
  readonly key?: KeyObject
  readonly dnsNames?: readonly string[]
  readonly uris?: readonly string[]
  /** More GeneralNames, in DER. */
  readonly otherNames?: readonly Buffer[]
  /** More extensions, in DER. */
  readonly extensions?: readonly Buffer[]
  /** More attributes, in DER. */
  readonly attributes?: readonly Buffer[]
  /** AlgorithmIdentifier, if it is not the one of the key. */
  readonly algorithm?: Buffer
}

export function newP256(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

export function extensionOf(id: Buffer, value: Buffer): Buffer {
  return der(TAG.sequence, id, der(TAG.octetString, value))
}

/** DER of a PKCS #10 request. */
export function csrDer(options: CsrOptions = {}): Buffer {
  const { key = newP256(), dnsNames = [], uris = [], otherNames = [], extensions = [] } = options
  const names = [
    ...dnsNames.map((name) => der(0x82, Buffer.from(name))),
    ...uris.map((uri) => der(0x86, Buffer.from(uri))),
    ...otherNames,
  ]
  const san =
    names.length === 0 ? [] : [extensionOf(OID.subjectAltName, der(TAG.sequence, ...names))]
  const all = [...san, ...extensions]
  const request = der(TAG.sequence, OID.extensionRequest, der(TAG.set, der(TAG.sequence, ...all)))
  const info = der(
    TAG.sequence,
    der(TAG.integer, Buffer.from([0])),
    der(TAG.sequence),
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    der(0xa0, ...(all.length === 0 ? [] : [request]), ...(options.attributes ?? [])),
  )
  const { algorithm, hash } = signatureOf(key)
  const signature = der(TAG.bitString, Buffer.from([0]), sign(hash, info, key))
  return der(TAG.sequence, info, options.algorithm ?? algorithm, signature)
}

export function csrPem(options: CsrOptions = {}): string {
  return toPem('CERTIFICATE REQUEST', csrDer(options))
}

function signatureOf(key: KeyObject): { algorithm: Buffer; hash: string | null } {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { algorithm: der(TAG.sequence, OID.rsaSha256, der(TAG.null)), hash: 'sha256' }
    case 'ed25519':
      return { algorithm: der(TAG.sequence, OID.ed25519), hash: null }
    default:
      return { algorithm: der(TAG.sequence, OID.ecdsaSha256), hash: 'sha256' }
  }
}
