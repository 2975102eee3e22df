import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { FLAGS as AUTHORITY_FLAGS } from '../../authority/config.ts'
import { REFUSALS } from '../../authority/refusal.ts'
import { ANNOTATIONS } from '../../contract/annotations.ts'
import { PREFIX } from '../../contract/names.ts'
import { read, REPOSITORY } from '../../docs/pages.test-data.ts'
import { FLAGS as DRIVER_FLAGS } from '../../driver/config.ts'
import { DRIVER_ERRORS } from '../../driver/errors.ts'
import { REASONS } from '../../webhook/admit/verdict.ts'
import { FLAGS as WEBHOOK_FLAGS } from '../../webhook/config.ts'
import { header, table } from './reference/markdown.ts'
import { REFERENCE, referencePages } from './reference/pages.ts'

const pages = referencePages()

test.each(Object.entries(pages))('docs/reference/%s is up to date: npm run docs', (name, text) => {
  expect(read(`docs/reference/${name}`)).toBe(text)
})

test('docs/reference has no other page', () => {
  expect(readdirSync(REFERENCE).sort()).toEqual(Object.keys(pages).sort())
})

describe('each page has every', () => {
  const rowsOf = (page: string): string[] =>
    [...(pages[page] ?? '').matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name)

  test('annotation', () => {
    const keys = Object.values(ANNOTATIONS).flatMap((table) => Object.keys(table))
    const rows = rowsOf('annotations.md')
    expect(rows.slice(0, -1).sort()).toEqual([...new Set(keys)].map((key) => PREFIX + key).sort())
  })

  test('flag', () => {
    const flags = [WEBHOOK_FLAGS, AUTHORITY_FLAGS, DRIVER_FLAGS].flatMap((all) => Object.keys(all))
    expect(rowsOf('flags.md')).toEqual(flags.map((name) => `--${name}`))
  })

  test('reason', () => {
    const rows = rowsOf('reasons.md')
    const reasons = [REASONS, REFUSALS, DRIVER_ERRORS].flatMap((all) => Object.keys(all))
    expect(rows.sort()).toEqual(reasons.sort())
  })

  test('setting, with the flag that it sets', () => {
    expect(rowsOf('settings.md')).toContain('stsProxy')
    expect(pages['settings.md']).toMatch(
      /`stsProxy`.*`--sts-proxy` of the webhook, `--sts-proxy` of the driver, guard/,
    )
    expect(pages['settings.md']).toMatch(/`meshProxies`.*`--mesh-proxies` of the webhook \|/)
  })
})

test('a cell cannot break its table', () => {
  expect(table(['a|b'], [['<x>']])).toBe('| a\\|b |\n|---|\n| \\<x> |')
  expect(header('Title', 'text')).toMatch(/^# Title\n[^]*Do not edit[^]*text\n$/)
})

test.each([
  [['--check'], 0, ''],
  [['--nonsense'], 2, 'unknown option --nonsense; allowed: --check'],
])('npm run docs -- %j', (options, status, message) => {
  const program = join(REPOSITORY, 'tools/build/docs.ts')
  const done = spawnSync(process.execPath, [program, ...options], { encoding: 'utf8' })
  expect(done.stderr.trim()).toBe(message)
  expect(done.status).toBe(status)
})
