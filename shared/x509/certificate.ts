import {
  createHash,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  type X509Certificate,
} from 'node:crypto'
import { promisify } from 'node:util'
import { der, TAG } from './der.ts'
import { loadIssuer, type Issuer } from './issuer.ts'
import { BACKDATED_MS } from './lifetime.ts'
import { OID } from './oids.ts'
import { elementsOf, readDer } from './read-der.ts'
import { randomSerial } from './serial.ts'
import { certificateOf, extension, keyUsage, nameOf, type Validity } from './write-certificate.ts'

export interface LeafRequest {
  readonly issuer: Issuer
  readonly key: KeyObject
  readonly dnsNames: readonly string[]
  readonly uri?: string
  readonly nowMs: number
  /** From notBefore to notAfter. */
  readonly lifetimeSeconds: number
}

export interface Leaf extends Validity {
  /** Leaf, then the issuer's chain. */
  readonly chainPem: string
  /** Hexadecimal. */
  readonly serial: string
}

const generate = promisify(generateKeyPair)

export async function newKey(): Promise<KeyObject> {
  return (await generate('ec', { namedCurve: 'P-256' })).privateKey
}

export function keyPemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** Validity of a leaf: whole seconds, within the issuer's. */
function validityOf(nowMs: number, lifetimeSeconds: number, issuer?: X509Certificate): Validity {
  // Lifetimes of a few minutes are for tests of renewal; most of the lifetime must still remain.
  const backdatedMs = Math.min(BACKDATED_MS, (lifetimeSeconds * 1000) / 6)
  const earliestMs = issuer?.validFromDate.getTime() ?? 0
  const latestMs = issuer?.validToDate.getTime() ?? Infinity
  const notBeforeMs = Math.max(Math.floor((nowMs - backdatedMs) / 1000) * 1000, earliestMs)
  return { notBeforeMs, notAfterMs: Math.min(notBeforeMs + lifetimeSeconds * 1000, latestMs) }
}

/** Validity of a CA: its lifetime is counted from now, not from notBefore. */
function caValidityOf(nowMs: number, lifetimeSeconds: number, issuer?: X509Certificate): Validity {
  const latestMs = issuer?.validToDate.getTime() ?? Infinity
  const startMs = Math.floor(nowMs / 1000) * 1000
  const notBeforeMs = Math.max(startMs - BACKDATED_MS, issuer?.validFromDate.getTime() ?? 0)
  return { notBeforeMs, notAfterMs: Math.min(startMs + lifetimeSeconds * 1000, latestMs) }
}

/** A self-signed root, for one intermediate level below it. */
export async function createRoot(nowMs: number, lifetimeSeconds: number): Promise<Issuer> {
  const key = await newKey()
  const serial = randomSerial()
  const subject = caName('root', serial)
  const keyId = keyIdOf(createPublicKey(key))
  const certPem = certificateOf({
    serial,
    subject,
    key: createPublicKey(key),
    validity: caValidityOf(nowMs, lifetimeSeconds),
    signer: { subject, key, keyId },
    extensions: caExtensions(1, keyId),
  })
  return loadIssuer(certPem, keyPemOf(key))
}

/** An intermediate, which signs leaves and nothing below them. */
export async function createIntermediate(
  root: Issuer,
  nowMs: number,
  lifetimeSeconds: number,
): Promise<Issuer> {
  const key = await newKey()
  const serial = randomSerial()
  const certPem = certificateOf({
    serial,
    subject: caName('intermediate', serial),
    key: createPublicKey(key),
    validity: caValidityOf(nowMs, lifetimeSeconds, root.certificate),
    signer: root,
    extensions: caExtensions(0, keyIdOf(createPublicKey(key))),
  })
  return loadIssuer(certPem, keyPemOf(key))
}

/** A workload's certificate, for both ends of a connection. */
export function issueLeaf(request: LeafRequest): Leaf {
  const { issuer, key, dnsNames, uri, nowMs, lifetimeSeconds } = request
  const serial = randomSerial()
  const validity = validityOf(nowMs, lifetimeSeconds, issuer.certificate)
  const names = [
    ...(uri === undefined ? [] : [der(0x86, Buffer.from(uri, 'latin1'))]),
    ...dnsNames.map((name) => der(0x82, Buffer.from(name, 'latin1'))),
  ]
  const certPem = certificateOf({
    serial,
    subject: nameOf([OID.organization, 'nocreds']),
    key,
    validity,
    signer: issuer,
    extensions: [
      extension(OID.basicConstraints, der(TAG.sequence), 'critical'),
      // digitalSignature, and keyEncipherment for RSA.
      keyUsage(key.asymmetricKeyType === 'rsa' ? [5, 0xa0] : [7, 0x80]),
      extension(OID.extKeyUsage, der(TAG.sequence, OID.serverAuth, OID.clientAuth)),
      extension(OID.subjectKeyIdentifier, der(TAG.octetString, keyIdOf(key))),
      extension(OID.subjectAltName, der(TAG.sequence, ...names)),
    ],
  })
  return { ...validity, chainPem: certPem + issuer.chainPem, serial: serial.toString('hex') }
}

function caExtensions(pathLength: number, keyId: Buffer): Buffer[] {
  const constraints = der(
    TAG.sequence,
    der(TAG.boolean, Buffer.from([0xff])),
    der(TAG.integer, Buffer.from([pathLength])),
  )
  return [
    extension(OID.basicConstraints, constraints, 'critical'),
    keyUsage([1, 0x06]), // keyCertSign, cRLSign
    extension(OID.subjectKeyIdentifier, der(TAG.octetString, keyId)),
  ]
}

/** Each CA has its own subject, so that CAs of different age can be distinguished. */
function caName(what: 'root' | 'intermediate', serial: Buffer): Buffer {
  return nameOf([OID.commonName, `nocreds ${what} ${serial.toString('hex').slice(0, 8)}`])
}

/** The first 160 bits of SHA-256 of the key. Source: RFC 7093, section 2. */
function keyIdOf(key: KeyObject): Buffer {
  const spki = readDer(key.export({ format: 'der', type: 'spki' }))
  const bits = elementsOf(spki.content)[1]?.content.subarray(1) ?? Buffer.alloc(0)
  return createHash('sha256').update(bits).digest().subarray(0, 20)
}
