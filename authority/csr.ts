import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { CERTIFICATE_LIMITS } from '../contract/certificates.ts'
import { isDnsName, MAX_DNS_NAMES } from '../contract/dns-names.ts'
import { der, TAG } from '../shared/x509/der.ts'
import { OID } from '../shared/x509/oids.ts'
import { DerError, elementsOf, readDer, type Element } from '../shared/x509/read-der.ts'
import { Refusal } from './refusal.ts'

/** The used parts of a request: its key, whose possession is proven, and the requested names. */
export interface ReadCsr {
  readonly key: KeyObject
  readonly dnsNames: readonly string[]
  /** Requested URIs; only the workload's own identity is permitted. */
  readonly uris: readonly string[]
}

const VERSION_1 = Buffer.from([TAG.integer, 1, 0])
/** Implicit tags. Source: RFC 2986, section 4.1; RFC 5280, section 4.2.1.6. */
const ATTRIBUTES = 0xa0
const GENERAL_NAME = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const

/** Descriptions of refused kinds of names, for the message. */
const OTHER_NAMES: Readonly<Record<number, string>> = {
  [GENERAL_NAME.email]: 'an email address',
  [GENERAL_NAME.ip]: 'an IP address',
}

function invalid(why: string): Refusal {
  return new Refusal('csr-invalid', `the CSR is invalid: ${why}`)
}

/** Decodes a PEM text that must contain exactly one request, to DER. @throws Refusal */
export function csrFromPem(pem: string): Buffer {
  if (pem.length > CERTIFICATE_LIMITS.csrBytes) {
    throw invalid(`it has ${pem.length} bytes; allowed: at most ${CERTIFICATE_LIMITS.csrBytes}`)
  }
  const [, base64] =
    /^\s*-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(
      pem,
    ) ?? []
  if (base64 === undefined) throw invalid('it is not one CERTIFICATE REQUEST in PEM')
  const text = base64.replace(/[\r\n]/g, '')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw invalid('its base64 is malformed')
  return bytes
}

/**
 * Parses an untrusted PKCS #10 request: strictly, in full, and verifies that it is signed by its own key.
 * Subject and other extensions are ignored.
 * Source: RFC 2986.
 *
 * @throws Refusal with the cause in plain words
 */
export function readCsr(bytes: Buffer): ReadCsr {
  if (bytes.length > CERTIFICATE_LIMITS.csrBytes) {
    throw invalid(`it has ${bytes.length} bytes; allowed: at most ${CERTIFICATE_LIMITS.csrBytes}`)
  }
  try {
    const [info, algorithm, signature] = partsOf(readDer(bytes), 3)
    const [version, subject, spki, attributes] = partsOf(info, 4)
    if (!version.whole.equals(VERSION_1)) throw new DerError('its version is not 1')
    if (subject.tag !== TAG.sequence) throw new DerError('its subject is not a name')
    if (attributes.tag !== ATTRIBUTES) throw new DerError('its attributes are missing')
    const names = namesOf(extensionsOf(attributes))
    const key = keyOf(spki)
    verifySignature(key, info, algorithm, signature)
    return { key, ...names }
  } catch (error) {
    if (error instanceof DerError) throw invalid(error.message)
    throw error
  }
}

type Parts<Count extends number> = Count extends 3
  ? readonly [Element, Element, Element]
  : readonly [Element, Element, Element, Element]

function partsOf<Count extends 3 | 4>(sequence: Element, count: Count): Parts<Count> {
  const parts = sequenceOf(sequence)
  if (parts.length !== count) throw new DerError('it does not have the structure of a request')
  return parts as unknown as Parts<Count>
}

function sequenceOf(element: Element | undefined): Element[] {
  if (element?.tag !== TAG.sequence) throw new DerError('a SEQUENCE is missing')
  return elementsOf(element.content)
}

/** The requested extensions, by the DER of their identifiers in hexadecimal. */
function extensionsOf(attributes: Element): Map<string, Buffer> {
  const requests = elementsOf(attributes.content)
    .map(sequenceOf)
    .filter(([type]) => type?.whole.equals(OID.extensionRequest))
  if (requests.length > 1) throw new DerError('it has more than one extensionRequest')
  const values = requests[0]?.[1]
  if (values === undefined) return new Map()
  const lists = values.tag === TAG.set ? elementsOf(values.content) : []
  if (lists.length !== 1) throw new DerError('its extensionRequest is not one list')
  const found = new Map<string, Buffer>()
  for (const extension of sequenceOf(lists[0])) {
    const { id, value } = extensionOf(extension)
    if (found.has(id)) throw new DerError('an extension occurs twice')
    found.set(id, value)
  }
  return found
}

function extensionOf(extension: Element): { readonly id: string; readonly value: Buffer } {
  const [type, ...rest] = sequenceOf(extension)
  const value = rest.at(-1)
  const isWellFormed = rest.length === 1 || (rest.length === 2 && rest[0]?.tag === TAG.boolean)
  if (type?.tag !== TAG.oid || !isWellFormed || value?.tag !== TAG.octetString) {
    throw new DerError('an extension is malformed')
  }
  return { id: type.whole.toString('hex'), value: value.content }
}

function namesOf(extensions: Map<string, Buffer>): Omit<ReadCsr, 'key'> {
  refuseCa(extensions.get(OID.basicConstraints.toString('hex')))
  const value = extensions.get(OID.subjectAltName.toString('hex'))
  const dnsNames: string[] = []
  const uris: string[] = []
  for (const { tag, content } of value === undefined ? [] : sequenceOf(readDer(value))) {
    const text = content.toString('latin1')
    if (tag === GENERAL_NAME.uri) uris.push(text)
    else if (tag !== GENERAL_NAME.dns) {
      throw new DerError(`it requests ${OTHER_NAMES[tag] ?? 'a name of another kind'}`)
    } else if (!isDnsName(text)) {
      throw new DerError(`${JSON.stringify(text.slice(0, 100))} is not a host name in lower case`)
    } else if (!dnsNames.includes(text)) dnsNames.push(text)
    if (dnsNames.length > MAX_DNS_NAMES || uris.length > 1) {
      throw new DerError(`it requests more than ${MAX_DNS_NAMES} DNS names or more than one URI`)
    }
  }
  return { dnsNames, uris }
}

function refuseCa(basicConstraints: Buffer | undefined): void {
  if (basicConstraints === undefined) return
  const [isCa] = sequenceOf(readDer(basicConstraints))
  if (isCa?.tag === TAG.boolean && isCa.content[0] === 0xff) {
    throw new DerError('it requests a CA certificate')
  }
}

const RSA_BITS = { min: 2048, max: 4096 } as const
const CURVES = ['prime256v1', 'secp384r1']

/** The public key, which must be of an allowed type and size. @throws DerError */
function keyOf(spki: Element): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki.whole, format: 'der', type: 'spki' })
  } catch {
    throw new DerError('its public key cannot be read')
  }
  if (!isAllowed(key)) {
    throw new DerError(
      'its key is not allowed; allowed: EC P-256 or P-384, Ed25519, RSA of 2048 to 4096 bits',
    )
  }
  if (!key.export({ format: 'der', type: 'spki' }).equals(spki.whole)) {
    throw new DerError('its public key is not in canonical form')
  }
  return key
}

function isAllowed({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): boolean {
  const { namedCurve = '', modulusLength = 0, publicExponent } = asymmetricKeyDetails
  switch (asymmetricKeyType) {
    case 'ec':
      return CURVES.includes(namedCurve)
    case 'rsa':
      return (
        modulusLength >= RSA_BITS.min && modulusLength <= RSA_BITS.max && publicExponent === 65_537n
      )
    default:
      return asymmetricKeyType === 'ed25519'
  }
}

/** Complete AlgorithmIdentifiers: with NULL for RSA, without parameters for the others. */
const ALGORITHMS = [
  ...of('ec', [], [OID.ecdsaSha256, 'sha256'], [OID.ecdsaSha384, 'sha384']),
  ...of('ec', [], [OID.ecdsaSha512, 'sha512']),
  ...of('rsa', [der(TAG.null)], [OID.rsaSha256, 'sha256'], [OID.rsaSha384, 'sha384']),
  ...of('rsa', [der(TAG.null)], [OID.rsaSha512, 'sha512']),
  ...of('ed25519', [], [OID.ed25519, null]),
]

function of(
  keyType: string,
  parameters: readonly Buffer[],
  ...known: readonly (readonly [id: Buffer, hash: string | null])[]
): { readonly identifier: Buffer; readonly keyType: string; readonly hash: string | null }[] {
  return known.map(([id, hash]) => ({
    identifier: der(TAG.sequence, id, ...parameters),
    keyType,
    hash,
  }))
}

function verifySignature(
  key: KeyObject,
  info: Element,
  algorithm: Element,
  signature: Element,
): void {
  const known = ALGORITHMS.find(({ identifier }) => algorithm.whole.equals(identifier))
  if (known === undefined || known.keyType !== key.asymmetricKeyType) {
    throw new DerError('its signature algorithm is not allowed for its key')
  }
  if (signature.tag !== TAG.bitString || signature.content[0] !== 0) {
    throw new DerError('its signature is malformed')
  }
  let isValid = false
  try {
    isValid = verify(known.hash, info.whole, key, signature.content.subarray(1))
  } catch {
    // It does not have the form of a signature.
  }
  if (!isValid) throw new DerError('it is not signed by its own key')
}
