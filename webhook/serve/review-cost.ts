/** Bytes that one value of JSON takes in memory at most, its key included; measured: 8 to 92. */
const VALUE_BYTES = 96
/**
 * An ordinary pod of 1.5 MiB has a twentieth of it. One of 30,000 mounts has nearly all: each of them is in
 * `managedFields` once more.
 */
export const MAX_VALUES = 400_000

const COMMA = 0x2c
const BRACKET = 0x5b
const BRACE = 0x7b

/**
 * Maximum bytes of memory of a JSON text once it is parsed; undefined if it holds too many values. A text
 * of a few MiB may become a hundred, as in `[{},{},…`. Characters in strings are counted, too, so the
 * result is never too low.
 */
export function memoryOfJson(text: Buffer): number | undefined {
  let values = 0
  for (let index = 0; index < text.length; index += 1) {
    const byte = text[index]
    if (byte === COMMA || byte === BRACKET || byte === BRACE) values += 1
  }
  return values > MAX_VALUES ? undefined : text.length + values * VALUE_BYTES
}
