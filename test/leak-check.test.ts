import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { LEAK_CHECK_ENV, recordOutput, recordSecret, findLeaks } from './leak-check.ts'

const outer = process.env[LEAK_CHECK_ENV]
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nocreds-leak-check-test-'))
  process.env[LEAK_CHECK_ENV] = folder
})

afterEach(() => {
  process.env[LEAK_CHECK_ENV] = outer
  rmSync(folder, { recursive: true })
})

test('a secret in the output is found in any order, and not repeated in the report', () => {
  recordOutput('a line\nwith swordfish in it')
  recordSecret('swordfish')
  recordSecret('hidden')
  expect(findLeaks(folder)).toEqual({
    secrets: 2,
    lines: 1,
    leaks: ['a line\nwith █████ in it'],
  })
})

test('without output nothing is leaked', () => {
  recordSecret('swordfish')
  expect(findLeaks(folder)).toEqual({ secrets: 1, lines: 0, leaks: [] })
})
