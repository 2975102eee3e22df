import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { messageOf } from '../../platform/errors.ts'
import type { ServingCertificate } from './source.ts'

/**
 * Puts certificate and key together, if they belong together and a TLS server takes them, the rest of
 * the chain included. Parsed by node:crypto alone.
 *
 * @throws Error that says what is wrong, without quoting the key
 */
export function readPair(certPem: string, keyPem: string): ServingCertificate {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(certPem)
  } catch {
    throw new Error('the certificate is not PEM of an X.509 certificate')
  }
  let belongs: boolean
  try {
    belongs = certificate.checkPrivateKey(createPrivateKey(keyPem))
  } catch {
    throw new Error('the key is not PEM of a private key')
  }
  if (!belongs) throw new Error('the key does not belong to the certificate')
  try {
    createSecureContext({ cert: certPem, key: keyPem })
  } catch (error) {
    throw new Error(`the certificate chain cannot be used: ${messageOf(error)}`)
  }
  return { certPem, keyPem, expiresAtMs: certificate.validToDate.getTime() }
}
