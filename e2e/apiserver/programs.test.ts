import { expect, test } from '@jest/globals'
import { MachineError } from '../support/host.ts'
import { KUBERNETES, OLDEST_KUBERNETES } from '../versions.ts'
import { versionOf, VERSIONS } from './programs.ts'

test('a version is named by its minor or whole, with or without v; default: the newest', () => {
  expect(VERSIONS).toEqual([KUBERNETES, OLDEST_KUBERNETES])
  const oldest = versionOf(OLDEST_KUBERNETES)
  expect(oldest.kubernetes).toBe('kubernetes-1.30')
  for (const name of ['1.30', 'v1.30', '1.30.14']) expect(versionOf(name)).toBe(oldest)
  expect(versionOf()).toBe(versionOf(KUBERNETES))
})

test.each(['1.3', '1.29', '1.30.1', '', 'newest'])('%p is not one of them', (name) => {
  expect(() => versionOf(name)).toThrow(MachineError)
})
