/** Test double: X.509 certificates on P-256, put together by hand. Never shipped. */
import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto'
import {
  bitString,
  der,
  objectId,
  octetString,
  sequence,
  set,
  smallInteger,
  tagged,
  taggedText,
} from '../../../shared/x509/der.ts'
import { toPem } from '../../../shared/x509/pem.ts'

export interface Ca {
  readonly name: string
  readonly key: KeyObject
  readonly certificate: string
}

export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export interface LeafRequest extends Validity {
  readonly issuer: Ca
  readonly publicKey: KeyObject
  readonly dnsNames?: readonly string[]
  readonly uris?: readonly string[]
  /** Of IPv4. */
  readonly addresses?: readonly string[]
}

/** GeneralName. Source: RFC 5280, section 4.2.1.6. */
const NAME = { dns: 2, uri: 6, address: 7 } as const

export function newKeyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

/** A CA: a root if no issuer is given, else an intermediate that has none below it. */
export function createCa(name: string, validity: Validity, issuer?: Ca): Ca {
  const { publicKey, privateKey: key } = newKeyPair()
  const limits = issuer === undefined ? [] : [smallInteger(0)]
  const constraints = sequence(der(0x01, Buffer.of(0xff)), ...limits)
  const extensions = [
    extension('2.5.29.19', constraints, true),
    extension('2.5.29.15', der(0x03, Buffer.of(1, 0b0000_0110)), true), // keyCertSign, cRLSign
  ]
  const signer = issuer ?? { name, key }
  return { name, key, certificate: signed(signer, name, { ...validity, publicKey }, extensions) }
}

export function issueLeaf(request: LeafRequest): string {
  const { issuer, dnsNames = [], uris = [], addresses = [] } = request
  const names = [
    ...dnsNames.map((name) => taggedText(NAME.dns, name)),
    ...uris.map((uri) => taggedText(NAME.uri, uri)),
    ...addresses.map((ip) => der(0x80 | NAME.address, Buffer.from(ip.split('.').map(Number)))),
  ]
  return signed(issuer, '', request, [extension('2.5.29.17', sequence(...names), true)])
}

function signed(
  issuer: Pick<Ca, 'name' | 'key'>,
  subject: string,
  { notBeforeMs, notAfterMs, publicKey }: Validity & { readonly publicKey: KeyObject },
  extensions: readonly Buffer[],
): string {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // positive, and of full length
  const algorithm = sequence(objectId('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const content = sequence(
    tagged(0, smallInteger(2)),
    der(0x02, serial),
    algorithm,
    distinguishedName(issuer.name),
    sequence(utcTime(notBeforeMs), utcTime(notAfterMs)),
    distinguishedName(subject),
    createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })).export({
      type: 'spki',
      format: 'der',
    }),
    tagged(3, sequence(...extensions)),
  )
  return toPem(
    'CERTIFICATE',
    sequence(content, algorithm, bitString(sign('sha256', content, issuer.key))),
  )
}

function distinguishedName(commonName: string): Buffer {
  if (commonName === '') return sequence()
  return sequence(set(sequence(objectId('2.5.4.3'), der(0x0c, Buffer.from(commonName)))))
}

function extension(oid: string, value: Buffer, isCritical: boolean): Buffer {
  const critical = isCritical ? [der(0x01, Buffer.of(0xff))] : []
  return sequence(objectId(oid), ...critical, octetString(value))
}

/** Until 2049. Source: RFC 5280, section 4.1.2.5.1. */
function utcTime(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')
  return der(0x17, Buffer.from(`${digits}Z`))
}
