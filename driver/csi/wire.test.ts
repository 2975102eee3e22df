import { join } from 'node:path'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { DriverError } from '../errors.ts'
import { METHODS, type Method } from './methods.ts'
import { decode, encode, type Fields, type Message } from './wire.ts'

/** Protocol Buffers as Google's library for JavaScript has them, from the .proto files. */
const DEFINITIONS = ['csi.proto', 'registration.proto'].flatMap((file) =>
  Object.entries(loadSync(join(import.meta.dirname, file), { defaults: true })),
)
const LIBRARY = new Map(
  DEFINITIONS.flatMap(([, definition]) =>
    'format' in definition
      ? []
      : Object.values(definition as Record<string, MethodDefinition<object, object>>),
  ).map((method) => [method.path, method]),
)

const TEXT = fc.string({ unit: 'grapheme', maxLength: 300 })
const VALUES = {
  string: TEXT,
  bool: fc.boolean(),
  strings: fc.array(TEXT, { maxLength: 5 }),
  map: fc.dictionary(TEXT, TEXT).map((record) => new Map(Object.entries(record))),
  boolValue: fc.boolean(),
}

function messagesOf(fields: Fields): fc.Arbitrary<Message<Fields>> {
  const values = Object.entries(fields).map(([name, [, kind]]) => [name, VALUES[kind]])
  return fc.record(
    Object.fromEntries(values) as Record<string, fc.Arbitrary<Message<Fields>[string]>>,
  )
}

/** The same message in the forms of the library. */
function inLibrary(fields: Fields, message: Message<Fields>): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, [, kind]]) => {
      const value = message[name]
      if (kind === 'boolValue') return [name, { value }]
      return [name, value instanceof Map ? Object.fromEntries(value) : value]
    }),
  )
}

test('the table has the methods of the .proto files, and no other', () => {
  const paths: string[] = Object.values(METHODS).map(({ path }) => path)
  expect(paths.sort()).toEqual([...LIBRARY.keys()].sort())
})

describe.each(Object.values<Method>(METHODS))('$path', ({ path, request, response }) => {
  const library = LIBRARY.get(path)!
  const sides = [
    ['request', request, library.requestSerialize, library.requestDeserialize],
    ['response', response, library.responseSerialize, library.responseDeserialize],
  ] as const

  test.each([
    ['request', request, library.requestType],
    ['response', response, library.responseType],
  ])('the fields of the %s are those of the .proto', (_side, fields, { type }) => {
    const { field } = type as { field: { name: string; number: number }[] }
    const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase())
    expect(Object.entries(fields).map(([name, [number]]) => [name, number])).toEqual(
      field.map(({ name, number }) => [camel(name), number]),
    )
  })

  test.each(sides)(
    'what we write of the %s, the library reads, and back',
    (_s, fields, write, read) => {
      fc.assert(
        fc.property(messagesOf(fields), (message) => {
          expect(read(encode(fields, message))).toEqual(inLibrary(fields, message))
          expect(decode(fields, write(inLibrary(fields, message)))).toEqual(message)
        }),
      )
    },
  )
})

const { request: PUBLISH } = METHODS.publish

test('unknown fields of every kind are skipped', () => {
  const bytes = Buffer.concat([
    Buffer.from([0x78, 0x96, 0x01]), // 15, varint
    Buffer.from([0x79, 1, 2, 3, 4, 5, 6, 7, 8]), // 15, 64 bit
    Buffer.from([0x7d, 1, 2, 3, 4]), // 15, 32 bit
    Buffer.from([0x2a, 2, 0x1a, 0]), // 5, volume_capability
    Buffer.from([0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01]), // the highest number
    encode(PUBLISH, { ...EMPTY, volumeId: 'csi-1' }),
  ])
  expect(decode(PUBLISH, bytes)).toEqual({ ...EMPTY, volumeId: 'csi-1' })
})

test.each([
  ['a length beyond the end', [0x0a, 5, 0x61]],
  [
    'a length beyond all bounds',
    [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  ],
  ['a number without an end', [0x30, ...Array<number>(10).fill(0x80)]],
  ['a number that is cut', [0x30, 0x80]],
  ['text that is not UTF-8', [0x0a, 2, 0xc3, 0x28]],
  ['a field of another type', [0x08, 1]],
  ['a group', [0x7b]],
])('%s is refused', async (_what, bytes) => {
  const error = await thrownBy(() => decode(PUBLISH, Uint8Array.from(bytes)))
  expect(error).toMatchObject({ code: 'ERR_MESSAGE' })
})

test('any bytes give a message or ERR_MESSAGE', () => {
  const whole = encode(PUBLISH, { ...EMPTY, secrets: new Map([['a', 'b']]), readonly: true })
  const broken = fc
    .tuple(fc.nat(whole.length - 1), fc.nat(255))
    .map(([at, byte]) => Uint8Array.from(whole).fill(byte, at, at + 1))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), broken), (bytes) => {
      try {
        expect(Object.keys(decode(PUBLISH, bytes))).toEqual(Object.keys(PUBLISH))
      } catch (error) {
        if (!(error instanceof DriverError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

const EMPTY = {
  volumeId: '',
  targetPath: '',
  readonly: false,
  secrets: new Map<string, string>(),
  volumeContext: new Map<string, string>(),
}
