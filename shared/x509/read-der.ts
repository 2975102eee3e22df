import { NocredsError } from '../base/errors.ts'
import { TAG } from './der.ts'

/**
 * Reads DER strictly: minimal definite lengths, the complete input, limited depth; so each input has only one
 * interpretation. Source: ITU-T X.690.
 */

/** Deeper than any certificate or request. */
const MAX_DEPTH = 16

/** The input is not strict DER, or not the structure that was expected. */
export class DerError extends NocredsError<'ERR_DER'> {
  constructor(message: string) {
    super('ERR_DER', message)
  }
}

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Tag, length and content. */
  readonly whole: Buffer
}

/** Reads the only element of the input, and checks all nested elements. @throws DerError */
export function readDer(der: Buffer): Element {
  const [only, ...others] = elementsOf(der)
  if (only === undefined || others.length > 0) throw new DerError('it is not one element')
  walk(only, 0)
  return only
}

/** Reads a sequence of elements. @throws DerError */
export function elementsOf(bytes: Buffer): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < bytes.length;) {
    const element = elementAt(bytes, at)
    elements.push(element)
    at += element.whole.length
  }
  return elements
}

function walk({ tag, content }: Element, depth: number): void {
  if (depth > MAX_DEPTH) throw new DerError(`it is nested more than ${MAX_DEPTH} deep`)
  if (tag === TAG.boolean && !(content.length === 1 && [0x00, 0xff].includes(content[0] ?? 1))) {
    throw new DerError('a BOOLEAN is not 00 or FF')
  }
  if (tag === TAG.integer && !isMinimalInteger(content)) {
    throw new DerError('an INTEGER is not in its shortest form')
  }
  if ((tag & 0x20) === 0) return
  for (const child of elementsOf(content)) walk(child, depth + 1)
}

function isMinimalInteger(content: Buffer): boolean {
  const [first, second] = content
  if (first === undefined) return false
  if (second === undefined) return true
  return !(first === 0x00 && second < 0x80) && !(first === 0xff && second >= 0x80)
}

function elementAt(bytes: Buffer, at: number): Element {
  const tag = bytes[at]
  const first = bytes[at + 1]
  if (tag === undefined || first === undefined) throw new DerError('it ends within an element')
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag has more than one byte')
  if (tag === 0) throw new DerError('a tag is zero')
  let start = at + 2
  let length = first
  if (first >= 0x80) {
    const size = first & 0x7f
    if (size < 1 || size > 3) throw new DerError('a length is indefinite or too long')
    if (start + size > bytes.length) throw new DerError('it ends within a length')
    length = bytes.readUIntBE(start, size)
    if (length < 0x80 || length < 2 ** (8 * (size - 1))) {
      throw new DerError('a length is not in its shortest form')
    }
    start += size
  }
  const end = start + length
  if (end > bytes.length) throw new DerError('it ends within an element')
  return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) }
}
