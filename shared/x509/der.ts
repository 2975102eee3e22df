/**
 * Writes DER, limited to what certificates and requests need; read-der.ts reads it. A library would be ten times as
 * large as the rest of the program, which each pod loads again for each certificate. Source: ITU-T X.690.
 */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** One element: tag, length, content. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content])
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff)
  return [0x80 | bytes.length, ...bytes]
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(TAG.sequence, ...parts)
export const set = (...parts: readonly Uint8Array[]): Buffer => der(TAG.set, ...parts)
export const octetString = (content: Uint8Array): Buffer => der(TAG.octetString, content)
/** A BIT STRING of whole bytes. */
export const bitString = (content: Uint8Array): Buffer => der(TAG.bitString, Buffer.of(0), content)
/** An INTEGER from 0 to 127. */
export const smallInteger = (value: number): Buffer => der(TAG.integer, Buffer.of(value))
/** Elements in a context-specific tag. */
export const tagged = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  der(0xa0 | number, ...parts)
/** ASCII with an implicit context-specific tag. */
export const taggedText = (number: number, text: string): Buffer =>
  der(0x80 | number, Buffer.from(text, 'latin1'))

/** @param dotted such as `2.5.29.17`; its first number is below 2, or its second below 40 */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift(0x80 | (rest & 0x7f))
  return bytes
}
