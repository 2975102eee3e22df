import { createHash, createPublicKey, generateKeyPair, sign } from 'node:crypto'
import { promisify } from 'node:util'
import forge from 'node-forge'
import { BACKDATED_MS } from '../../shared/x509/lifetime.ts'
import { randomSerial } from '../../shared/x509/serial.ts'

/**
 * The one file that uses node-forge: to build certificates and to parse the CA that issues them. Keys,
 * signatures and verification are done by node:crypto.
 */

/** A certificate and its key, in PEM. */
export interface Issued {
  readonly certPem: string
  readonly keyPem: string
}

export interface CaRequest {
  readonly nowMs: number
  readonly lifetimeSeconds: number
}

export interface LeafRequest extends CaRequest {
  readonly ca: Issued
  /** The first one is the common name, too. */
  readonly dnsNames: readonly string[]
  /** For loopback servers; not used in a cluster. */
  readonly ipAddresses?: readonly string[]
  /** Its extended key usage; default: a TLS server. */
  readonly usage?: 'serverAuth' | 'clientAuth'
}

const generate = promisify(generateKeyPair)

/** A self-signed CA that can sign leaves and nothing below them (RFC 5280, pathLenConstraint 0). */
export async function createCa({ nowMs, lifetimeSeconds }: CaRequest): Promise<Issued> {
  const serial = randomSerial().toString('hex')
  const keyPem = await newCaKey()
  const certificate = unsigned(nowMs, lifetimeSeconds, serial)
  certificate.publicKey = rsaPublicKeyOf(keyPem)
  // Two CAs of different age are told apart by their subject, so each has its own.
  const name = [{ name: 'commonName', value: `nocreds webhook CA ${serial.slice(0, 8)}` }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
    { name: 'subjectKeyIdentifier' },
  ])
  signWith(keyPem, certificate)
  return { certPem: forge.pki.certificateToPem(certificate), keyPem }
}

/**
 * A certificate for one side of TLS, signed by the CA and never outliving it. Its key is P-256: a
 * handshake costs a server a fraction of that with RSA, and any client can start one.
 */
export async function issueLeaf(request: LeafRequest): Promise<Issued> {
  const { ca, dnsNames, ipAddresses = [], usage = 'serverAuth', nowMs, lifetimeSeconds } = request
  const issuer = forge.pki.certificateFromPem(ca.certPem)
  const keyPem = await newLeafKey()
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' })
  const certificate = unsigned(nowMs, lifetimeSeconds, randomSerial().toString('hex'))
  certificate.publicKey = issuer.publicKey // a placeholder until it is signed
  if (certificate.validity.notAfter > issuer.validity.notAfter) {
    certificate.validity.notAfter = issuer.validity.notAfter
  }
  certificate.setSubject([{ name: 'commonName', value: (dnsNames[0] ?? 'nocreds').slice(0, 64) }])
  certificate.setIssuer(issuer.subject.attributes)
  certificate.setExtensions([
    { name: 'basicConstraints', critical: true, cA: false },
    { name: 'keyUsage', critical: true, digitalSignature: true }, // RFC 5480, section 3
    { name: 'extKeyUsage', [usage]: true },
    { name: 'subjectKeyIdentifier', value: octets(keyIdOf(spki)) },
    {
      name: 'authorityKeyIdentifier',
      keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes(),
    },
    {
      name: 'subjectAltName',
      altNames: [
        ...dnsNames.map((value) => ({ type: 2, value })),
        ...ipAddresses.map((ip) => ({ type: 7, ip })),
      ],
    },
  ])
  signWith(ca.keyPem, certificate, spki)
  return { certPem: forge.pki.certificateToPem(certificate), keyPem }
}

/** The CA's stays RSA: forge reads and names no other, and it signs once in a few days. */
async function newCaKey(): Promise<string> {
  const { privateKey } = await generate('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

async function newLeafKey(): Promise<string> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function rsaPublicKeyOf(keyPem: string): forge.pki.PublicKey {
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'pem' })
  return forge.pki.publicKeyFromPem(spki.toString())
}

function unsigned(nowMs: number, lifetimeSeconds: number, serial: string): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate()
  certificate.serialNumber = serial
  certificate.validity.notBefore = new Date(nowMs - BACKDATED_MS)
  certificate.validity.notAfter = new Date(nowMs + lifetimeSeconds * 1000)
  return certificate
}

/** Index of the key in tbsCertificate: after version, serial, algorithm, issuer, validity, subject. */
const SPKI_INDEX = 6

/**
 * forge asks its key for the signature; this one lets node:crypto make it, in constant time and far
 * faster. Source: RFC 5280, 4.1.1.3: over the DER of tbsCertificate.
 *
 * @param spki DER of the certificate's key, if forge cannot write it itself
 */
function signWith(keyPem: string, certificate: forge.pki.Certificate, spki?: Buffer): void {
  const key = {
    sign() {
      const { tbsCertificate } = certificate
      if (spki !== undefined) {
        const fields = tbsCertificate.value as forge.asn1.Asn1[]
        fields[SPKI_INDEX] = elementOf(spki)
      }
      const tbs = forge.asn1.toDer(tbsCertificate).getBytes()
      return sign('sha256', Buffer.from(tbs, 'binary'), keyPem).toString('binary')
    },
  }
  certificate.sign(key as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create())
}

/** With `decodeBitStrings` a key whose bits look like DER would be taken apart. */
function elementOf(der: Buffer): forge.asn1.Asn1 {
  const options = { strict: true, decodeBitStrings: false } as unknown as boolean // its types are older
  return forge.asn1.fromDer(der.toString('binary'), options)
}

/** The first 160 bits of SHA-256 of the key. Source: RFC 7093, section 2. */
function keyIdOf(spki: Buffer): string {
  const [, bits] = elementOf(spki).value as forge.asn1.Asn1[]
  const key = Buffer.from((bits?.value as string).slice(1), 'binary') // after the count of unused bits
  return createHash('sha256').update(key).digest().subarray(0, 20).toString('binary')
}

function octets(content: string): forge.asn1.Asn1 {
  const { Class, Type, create } = forge.asn1
  return create(Class.UNIVERSAL, Type.OCTETSTRING, false, content)
}
