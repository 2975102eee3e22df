import { sign, type KeyObject } from 'node:crypto'
import { der, TAG } from './der.ts'
import type { Issuer } from './issuer.ts'
import { OID } from './oids.ts'
import { toPem } from './pem.ts'

export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** What a certificate says, and who signs it. */
interface Content {
  readonly serial: Buffer
  readonly subject: Buffer
  /** Public. */
  readonly key: KeyObject
  readonly validity: Validity
  readonly signer: Pick<Issuer, 'subject' | 'key' | 'keyId'>
  readonly extensions: readonly Buffer[]
}

/** The signed certificate, in PEM. Source: RFC 5280, section 4.1. */
export function certificateOf({
  serial,
  subject,
  key,
  validity,
  signer,
  extensions,
}: Content): string {
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

/** @param bits unused bits of the last byte, then the bytes */
export function keyUsage(bits: readonly number[]): Buffer {
  return extension(OID.keyUsage, der(TAG.bitString, Buffer.from(bits)), 'critical')
}

/** One extension. @param id DER of its object identifier @param value DER */
export function extension(id: Buffer, value: Buffer, critical?: 'critical'): Buffer {
  const flag = critical === undefined ? [] : [der(TAG.boolean, Buffer.from([0xff]))]
  return der(TAG.sequence, id, ...flag, der(TAG.octetString, value))
}

/** A name of one attribute. */
export function nameOf([type, value]: readonly [Buffer, string]): Buffer {
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
