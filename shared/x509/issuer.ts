import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { OID } from './oids.ts'
import { splitPem } from './pem.ts'
import { elementsOf, readDer } from './read-der.ts'

/** A CA that signs: its certificate first, then its chain up to the root. */
export interface Issuer {
  readonly chainPem: string
  readonly key: KeyObject
  readonly certificate: X509Certificate
  /** DER of its subject, which is copied unchanged as the issuer of what it signs. */
  readonly subject: Buffer
  readonly keyId: Buffer | undefined
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
