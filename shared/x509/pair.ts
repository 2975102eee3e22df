import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { messageOf, NocredsError } from '../base/errors.ts'

/** Certificate and key of a TLS server. */
export interface ServingCertificate {
  /** Leaf first, then its chain up to the CA. */
  readonly certPem: string
  readonly keyPem: string
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number
}

/** For a certificate and key that a TLS server cannot use together; neither is quoted. */
function unusable(why: string): NocredsError {
  return new NocredsError('ERR_CERTIFICATE_PAIR', why)
}

/**
 * Checks that certificate and key belong together and that a TLS server accepts them, including the rest of the
 * chain. Parsed only by node:crypto.
 *
 * @throws NocredsError `ERR_CERTIFICATE_PAIR`
 */
export function readPair(certPem: string, keyPem: string): ServingCertificate {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(certPem)
  } catch {
    throw unusable('the certificate is not PEM of an X.509 certificate')
  }
  let belongs: boolean
  try {
    belongs = certificate.checkPrivateKey(createPrivateKey(keyPem))
  } catch {
    throw unusable('the key is not PEM of a private key')
  }
  if (!belongs) throw unusable('the key does not belong to the certificate')
  try {
    createSecureContext({ cert: certPem, key: keyPem })
  } catch (error) {
    throw unusable(`the certificate chain cannot be used: ${messageOf(error)}`)
  }
  return { certPem, keyPem, expiresAtMs: certificate.validToDate.getTime() }
}
