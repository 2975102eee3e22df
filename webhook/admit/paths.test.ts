import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonicalPath, isAtOrBelow } from './paths.ts'

const RESERVED = '/var/run/secrets/nocreds.dev/aws'

describe('every spelling of a reserved path is recognised', () => {
  test.each([
    '/var/run/secrets/nocreds.dev/aws/',
    '/var/run/secrets/nocreds.dev//aws',
    '//var/run/secrets/nocreds.dev/aws//',
    '/var/run/secrets/./nocreds.dev/aws/.',
    '/var/run/secrets/x/../nocreds.dev/aws',
    '/../var/run/secrets/nocreds.dev/aws',
    '/run/secrets/nocreds.dev/aws',
    'var/run/secrets/nocreds.dev/aws',
  ])('%s', (spelling) => {
    expect(canonicalPath(spelling)).toBe(canonicalPath(RESERVED))
    expect(isAtOrBelow(spelling, RESERVED)).toBe(true)
    expect(isAtOrBelow(`${spelling}/config`, RESERVED)).toBe(true)
  })

  test.each(['/var/run/secrets/nocreds.dev', `${RESERVED}2`, '/run/secrets', '/', '/var/running'])(
    'not %s',
    (path) => {
      expect(isAtOrBelow(path, RESERVED)).toBe(false)
    },
  )
})

test('a canonical path stays as it is', () => {
  const path = fc.stringMatching(/^(?:\/[a-z.]{0,3}){1,6}$/)
  fc.assert(
    fc.property(path, (any) => {
      const once = canonicalPath(any)
      expect(canonicalPath(once)).toBe(once)
      expect(once).toMatch(/^\/$|[^/]$/)
    }),
  )
})

test('one path is at or below another if its one spelling is', () => {
  const path = fc.stringMatching(/^\/?(?:var\/)?(?:run\/)?(?:\/?(?:a|b|\.|\.\.)){0,4}\/?$/)
  let below = 0
  fc.assert(
    fc.property(path, path, (mountPath, folder) => {
      const [one, other] = [canonicalPath(mountPath), canonicalPath(folder)]
      const expected = one === other || one.startsWith(other === '/' ? other : `${other}/`)
      if (expected) below += 1
      expect(isAtOrBelow(mountPath, folder)).toBe(expected)
    }),
    { numRuns: 2000 },
  )
  expect(below).toBeGreaterThan(100)
})
