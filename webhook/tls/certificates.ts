import { generateKeyPair, randomBytes, sign } from 'node:crypto'
import { promisify } from 'node:util'
import forge from 'node-forge'
import { BACKDATED_MS } from '../../service/certificate-life.ts'

/**
 * The one file that uses node-forge, and only to put certificates together: keys, signatures, reading
 * and verifying are node:crypto's.
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
  /** For loopback servers; none in a cluster. */
  readonly ipAddresses?: readonly string[]
  /** What it is good for; default: a TLS server. */
  readonly usage?: 'serverAuth' | 'clientAuth'
}

const RSA_BITS = 2048

const generateRsa = promisify(generateKeyPair)

/** A self-signed CA that can sign leaves and nothing below them (RFC 5280, pathLenConstraint 0). */
export async function createCa({ nowMs, lifetimeSeconds }: CaRequest): Promise<Issued> {
  const serial = randomSerial()
  const { certificate, keyPem } = await unsigned(nowMs, lifetimeSeconds, serial)
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

/** A certificate for one side of TLS, signed by the CA and never outliving it. */
export async function issueLeaf(request: LeafRequest): Promise<Issued> {
  const { ca, dnsNames, ipAddresses = [], usage = 'serverAuth', nowMs, lifetimeSeconds } = request
  const issuer = forge.pki.certificateFromPem(ca.certPem)
  const { certificate, keyPem } = await unsigned(nowMs, lifetimeSeconds, randomSerial())
  if (certificate.validity.notAfter > issuer.validity.notAfter) {
    certificate.validity.notAfter = issuer.validity.notAfter
  }
  certificate.setSubject([{ name: 'commonName', value: (dnsNames[0] ?? 'nocreds').slice(0, 64) }])
  certificate.setIssuer(issuer.subject.attributes)
  certificate.setExtensions([
    { name: 'basicConstraints', critical: true, cA: false },
    { name: 'keyUsage', critical: true, digitalSignature: true, keyEncipherment: true },
    { name: 'extKeyUsage', [usage]: true },
    { name: 'subjectKeyIdentifier' },
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
  signWith(ca.keyPem, certificate)
  return { certPem: forge.pki.certificateToPem(certificate), keyPem }
}

/** Key by node:crypto off the main thread; forge's own takes longer and blocks. */
async function unsigned(
  nowMs: number,
  lifetimeSeconds: number,
  serial: string,
): Promise<{ certificate: forge.pki.Certificate; keyPem: string }> {
  const { publicKey, privateKey } = await generateRsa('rsa', {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = serial
  certificate.validity.notBefore = new Date(nowMs - BACKDATED_MS)
  certificate.validity.notAfter = new Date(nowMs + lifetimeSeconds * 1000)
  return { certificate, keyPem: privateKey }
}

/**
 * forge asks its key for the signature; this one lets node:crypto make it, in constant time and far
 * faster. Source: RFC 5280, 4.1.1.3: over the DER of tbsCertificate.
 */
function signWith(keyPem: string, certificate: forge.pki.Certificate): void {
  const key = {
    sign() {
      const tbs = forge.asn1.toDer(certificate.tbsCertificate).getBytes()
      return sign('sha256', Buffer.from(tbs, 'binary'), keyPem).toString('binary')
    },
  }
  certificate.sign(key as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create())
}

/** 126 random bits below 01, so that it is positive and always 128 bits long (RFC 5280, 4.1.2.2). */
function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}
