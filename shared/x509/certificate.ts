import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  sign,
  X509Certificate,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import { der, TAG } from './der.ts'
import { BACKDATED_MS } from './lifetime.ts'
import { OID } from './oids.ts'
import { splitPem, toPem } from './pem.ts'
import { elementsOf, readDer } from './read-der.ts'
import { randomSerial } from './serial.ts'

/** A CA that signs: its certificate first, then its chain up to the root. */
export interface Issuer {
  readonly chainPem: string
  readonly key: KeyObject
  readonly certificate: X509Certificate
  /** DER of its subject, which is copied unchanged as the issuer of what it signs. */
  readonly subject: Buffer
  readonly keyId: Buffer | undefined
}

interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

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

/** Loads certificate and key of a CA for signing. @throws Error of node:crypto; DerError */
export function loadIssuer(chainPem: string, keyPem: string): Issuer {
  const certificate = new X509Certificate(splitPem(chainPem)[0] ?? '')
  const [tbs] = elementsOf(readDer(certificate.raw).content)
  // version, serial, algorithm, issuer, validity, subject, key, …, extensions
  const fields = elementsOf(tbs?.content ?? Buffer.alloc(0))
  const extensions = fields.find(({ tag }) => tag === 0xa3)
  const subject = fields[5]?.whole ?? Buffer.alloc(0)
  const keyId = extensions === undefined ? undefined : keyIdIn(extensions.content)
  return { chainPem, key: createPrivateKey(keyPem), certificate, subject, keyId }
}

function keyIdIn(extensions: Buffer): Buffer | undefined {
  for (const { content } of elementsOf(readDer(extensions).content)) {
    const parts = elementsOf(content)
    const value = parts.at(-1)
    if (value === undefined || !parts[0]?.whole.equals(OID.subjectKeyIdentifier)) continue
    return readDer(value.content).content
  }
  return undefined
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

interface Content {
  readonly serial: Buffer
  readonly subject: Buffer
  /** Public. */
  readonly key: KeyObject
  readonly validity: Validity
  readonly signer: Pick<Issuer, 'subject' | 'key' | 'keyId'>
  readonly extensions: readonly Buffer[]
}

/** PEM. Source: RFC 5280, section 4.1. */
function certificateOf({ serial, subject, key, validity, signer, extensions }: Content): string {
  const { algorithm, hash } = signatureOf(signer.key)
  const keyIdentifier =
    signer.keyId === undefined
      ? []
      : [extension(OID.authorityKeyIdentifier, der(TAG.sequence, der(0x80, signer.keyId)))]
  const tbs = der(
    TAG.sequence,
    der(0xa0, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serial),
    algorithm,
    signer.subject,
    der(TAG.sequence, time(validity.notBeforeMs), time(validity.notAfterMs)),
    subject,
    key.export({ format: 'der', type: 'spki' }),
    der(0xa3, der(TAG.sequence, ...extensions, ...keyIdentifier)),
  )
  const signature = der(TAG.bitString, Buffer.from([0]), sign(hash, tbs, signer.key))
  return toPem('CERTIFICATE', der(TAG.sequence, tbs, algorithm, signature))
}

function signatureOf(key: KeyObject): { readonly algorithm: Buffer; readonly hash: string | null } {
  if (key.asymmetricKeyType === 'ed25519') {
    return { algorithm: der(TAG.sequence, OID.ed25519), hash: null }
  }
  if (key.asymmetricKeyType === 'rsa') {
    return { algorithm: der(TAG.sequence, OID.rsaSha256, der(TAG.null)), hash: 'sha256' }
  }
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
    ? { algorithm: der(TAG.sequence, OID.ecdsaSha384), hash: 'sha384' }
    : { algorithm: der(TAG.sequence, OID.ecdsaSha256), hash: 'sha256' }
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

/** @param bits unused bits of the last byte, then the bytes */
function keyUsage(bits: readonly number[]): Buffer {
  return extension(OID.keyUsage, der(TAG.bitString, Buffer.from(bits)), 'critical')
}

function extension(id: Buffer, value: Buffer, critical?: 'critical'): Buffer {
  const flag = critical === undefined ? [] : [der(TAG.boolean, Buffer.from([0xff]))]
  return der(TAG.sequence, id, ...flag, der(TAG.octetString, value))
}

/** Each CA has its own subject, so that CAs of different age can be distinguished. */
function caName(what: 'root' | 'intermediate', serial: Buffer): Buffer {
  return nameOf([OID.commonName, `nocreds ${what} ${serial.toString('hex').slice(0, 8)}`])
}

function nameOf([type, value]: readonly [Buffer, string]): Buffer {
  const attribute = der(TAG.sequence, type, der(TAG.utf8String, Buffer.from(value)))
  return der(TAG.sequence, der(TAG.set, attribute))
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5). */
function time(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().replace(/[-T:]|\.\d+Z$/g, '')}Z`
  return ms < Date.UTC(2050, 0, 1)
    ? der(TAG.utcTime, Buffer.from(digits.slice(2)))
    : der(TAG.generalizedTime, Buffer.from(digits))
}

/** The first 160 bits of SHA-256 of the key. Source: RFC 7093, section 2. */
function keyIdOf(key: KeyObject): Buffer {
  const spki = readDer(key.export({ format: 'der', type: 'spki' }))
  const bits = elementsOf(spki.content)[1]?.content.subarray(1) ?? Buffer.alloc(0)
  return createHash('sha256').update(bits).digest().subarray(0, 20)
}
