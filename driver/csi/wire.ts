import { DriverError } from '../errors.ts'

/**
 * Protocol Buffers, as much as the messages here need. What arrives is read strictly: an unknown field
 * is skipped, anything malformed is refused.
 * Source: Protocol Buffers, "Encoding".
 */

/** The kinds of fields, with the values that they have in TypeScript. */
interface Kinds {
  string: string
  bool: boolean
  /** repeated string */
  strings: readonly string[]
  /** map<string, string> */
  map: ReadonlyMap<string, string>
  /** google.protobuf.BoolValue; one that is absent is read as false */
  boolValue: boolean
}

/** Fields of a message: each with its number (1 to 15) and its kind. */
export type Fields = Readonly<Record<string, readonly [number: number, kind: keyof Kinds]>>

/** A message with these fields. */
export type Message<F extends Fields> = { readonly [Name in keyof F]: Kinds[F[Name][1]] }

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

const ENTRY = { key: [1, 'string'], value: [2, 'string'] } as const
const BOOL_VALUE = { value: [1, 'bool'] } as const

export function encode<F extends Fields>(fields: F, message: Message<F>): Buffer {
  const parts: Uint8Array[] = []
  for (const [name, [number, kind]] of Object.entries(fields)) {
    for (const bytes of encodeField(kind, message[name] as Kinds[keyof Kinds])) {
      const type = kind === 'bool' ? VARINT : BYTES
      parts.push(Uint8Array.of((number << 3) | type))
      if (type === BYTES) parts.push(varint(bytes.length))
      parts.push(bytes)
    }
  }
  return Buffer.concat(parts)
}

/** The value's bytes without tag and length, once for each time that the field is written. */
function encodeField(kind: keyof Kinds, value: Kinds[keyof Kinds]): Uint8Array[] {
  switch (kind) {
    case 'bool':
      return value === true ? [Uint8Array.of(1)] : []
    case 'string':
      return value === '' ? [] : [Buffer.from(value as string)]
    case 'strings':
      return (value as Kinds['strings']).map((one) => Buffer.from(one))
    case 'map':
      return [...(value as Kinds['map'])].map(([key, one]) => encode(ENTRY, { key, value: one }))
    case 'boolValue':
      return [encode(BOOL_VALUE, { value: value as boolean })]
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Uint8Array.from([...bytes, rest])
}

/**
 * @param bytes as large as the server lets them be
 * @throws DriverError ERR_MESSAGE, which never quotes them
 */
export function decode<F extends Fields>(fields: F, bytes: Uint8Array): Message<F> {
  const message = emptyMessage(fields)
  const names = new Map(Object.entries(fields).map(([name, [number]]) => [number, name]))
  const reader = { bytes, at: 0 }
  while (reader.at < bytes.length) {
    const tag = readVarint(reader)
    const [number, type] = [Math.floor(tag / 8), tag % 8]
    const name = names.get(number)
    const field = name === undefined ? undefined : fields[name]
    if (name === undefined || field === undefined) skip(reader, type)
    else if (type !== (field[1] === 'bool' ? VARINT : BYTES)) throw malformed()
    else message[name] = decodeField(reader, field[1], message[name])
  }
  return message as Message<F>
}

function emptyMessage(fields: Fields): Record<string, unknown> {
  const empty = { string: '', bool: false, strings: [], map: new Map(), boolValue: false }
  return Object.fromEntries(
    Object.entries(fields).map(([name, [, kind]]) => [
      name,
      kind === 'map' ? new Map() : empty[kind],
    ]),
  )
}

interface Reader {
  readonly bytes: Uint8Array
  at: number
}

/** @param before what was read of the field so far: of a field that comes twice, the last one counts */
function decodeField(reader: Reader, kind: keyof Kinds, before: unknown): unknown {
  if (kind === 'bool') return readVarint(reader) !== 0
  const bytes = take(reader, readVarint(reader))
  switch (kind) {
    case 'string':
      return textOf(bytes)
    case 'strings':
      return [...(before as Kinds['strings']), textOf(bytes)]
    case 'boolValue':
      return decode(BOOL_VALUE, bytes).value
    case 'map': {
      const { key, value } = decode(ENTRY, bytes)
      return (before as Map<string, string>).set(key, value)
    }
  }
}

/** Up to 10 bytes; a value above 2^53 is not exact, and too large for all that it is used for. */
function readVarint(reader: Reader): number {
  let value = 0
  for (let shift = 0; shift < 70; shift += 7) {
    const [byte = 0] = take(reader, 1)
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return value
  }
  throw malformed()
}

function skip(reader: Reader, type: number): void {
  if (type === VARINT) readVarint(reader)
  else if (type === FIXED64) take(reader, 8)
  else if (type === BYTES) take(reader, readVarint(reader))
  else if (type === FIXED32) take(reader, 4)
  else throw malformed()
}

function take(reader: Reader, length: number): Uint8Array {
  const from = reader.at
  if (length > reader.bytes.length - from) throw malformed()
  reader.at += length
  return reader.bytes.subarray(from, reader.at)
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw malformed()
  }
}

function malformed(): DriverError {
  return new DriverError('ERR_MESSAGE', 'the request is not a message of the protocol')
}
