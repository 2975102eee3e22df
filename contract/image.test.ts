import { expect, test } from '@jest/globals'
import { digestOf, isSameImage } from './image.ts'

const A = `@sha256:${'a'.repeat(64)}`
const B = `@sha256:${'b'.repeat(64)}`

test.each([
  ['nocreds/exchanger:0.1.0', undefined],
  [`nocreds/exchanger${A}`, A],
  [`nocreds/exchanger:0.1.0${A}`, A],
  [`nocreds/exchanger@sha256:${'a'.repeat(63)}`, undefined],
  [`nocreds/exchanger@sha256:${'A'.repeat(64)}`, undefined],
  [`nocreds/exchanger@sha512:${'a'.repeat(64)}`, undefined],
  [`x${A}:tag`, undefined],
  [`x${A}\n`, undefined],
])('the digest of %j', (image, digest) => {
  expect(digestOf(image)).toBe(digest)
})

test.each([
  ['nocreds/exchanger:1', 'nocreds/exchanger:1', true],
  [`nocreds/exchanger${A}`, `mirror.example/nocreds/exchanger:1${A}`, true],
  [`nocreds/exchanger${A}`, `nocreds/exchanger${B}`, false],
  ['nocreds/exchanger:1', 'mirror.example/nocreds/exchanger:1', false],
  ['nocreds/exchanger:1', `nocreds/exchanger:1${A}`, false],
  ['nocreds/exchanger:1', 'nocreds/exchanger:2', false],
  ['', '', true],
])('%s and %s are one image: %s', (one, other, same) => {
  expect(isSameImage(one, other)).toBe(same)
  expect(isSameImage(other, one)).toBe(same)
})
