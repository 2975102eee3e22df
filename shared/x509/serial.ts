import { randomBytes } from 'node:crypto'

/** A new serial number: 126 random bits below 01, so that it is positive and always 128 bits long (RFC 5280, 4.1.2.2). */
export function randomSerial(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes
}
