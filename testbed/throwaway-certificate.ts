/** Test double: certificates that live as long as one test run. Never shipped. */
import { generateKeyPair, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import forge from 'node-forge'

/** All in PEM. The key of the CA is thrown away once it signed. */
export interface ThrowawayCertificate {
  /** What a client must trust. */
  readonly caPem: string
  readonly certPem: string
  readonly keyPem: string
}

interface KeyPair {
  readonly publicKey: forge.pki.rsa.PublicKey
  readonly privateKey: forge.pki.rsa.PrivateKey
  readonly privatePem: string
}

const CA_NAME = [{ name: 'commonName', value: 'throwaway CA' }]

/**
 * A serving certificate for `names` (IP addresses or host names), signed by a CA of its own.
 *
 * It holds from 2000 to 2049: TLS looks at the machine's clock, whatever clock a test runs on.
 */
export async function throwawayCertificate(
  names: readonly string[],
): Promise<ThrowawayCertificate> {
  const [ca, serving] = await Promise.all([keyPair(), keyPair()])
  const caPem = signed(ca.publicKey, ca.privateKey, CA_NAME, [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, critical: true },
  ])
  const altNames = names.map((name) =>
    isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name },
  )
  const subject = [{ name: 'commonName', value: 'throwaway server' }]
  const certPem = signed(serving.publicKey, ca.privateKey, subject, [
    { name: 'basicConstraints', cA: false },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames },
  ])
  return { caPem, certPem, keyPem: serving.privatePem }
}

async function keyPair(): Promise<KeyPair> {
  const pair = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return {
    publicKey: forge.pki.publicKeyFromPem(pair.publicKey),
    privateKey: forge.pki.privateKeyFromPem(pair.privateKey),
    privatePem: pair.privateKey,
  }
}

function signed(
  publicKey: forge.pki.rsa.PublicKey,
  issuerKey: forge.pki.rsa.PrivateKey,
  subject: forge.pki.CertificateField[],
  extensions: object[],
): string {
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = publicKey
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}` // positive, whatever comes
  certificate.validity.notBefore = new Date(Date.UTC(2000, 0, 1))
  certificate.validity.notAfter = new Date(Date.UTC(2049, 0, 1))
  certificate.setSubject(subject)
  certificate.setIssuer(CA_NAME)
  certificate.setExtensions(extensions)
  certificate.sign(issuerKey, forge.md.sha256.create())
  return forge.pki.certificateToPem(certificate)
}
