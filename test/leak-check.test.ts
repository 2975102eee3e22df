import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { LEDGER_ENV, noteSaid, noteSecret, reckon } from './leak-check.ts'

const outer = process.env[LEDGER_ENV]
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nocreds-ledger-test-'))
  process.env[LEDGER_ENV] = folder
})

afterEach(() => {
  process.env[LEDGER_ENV] = outer
  rmSync(folder, { recursive: true })
})

test('a secret that was said is found, whatever came first, and not repeated', () => {
  noteSaid('a line\nwith swordfish in it')
  noteSecret('swordfish')
  noteSecret('hidden')
  expect(reckon(folder)).toEqual({
    secrets: 2,
    said: 1,
    leaks: ['a line\nwith █████ in it'],
  })
})

test('nothing said, nothing leaked', () => {
  noteSecret('swordfish')
  expect(reckon(folder)).toEqual({ secrets: 1, said: 0, leaks: [] })
})
