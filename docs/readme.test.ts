import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { FLAGS as AUTHORITY_FLAGS } from '../authority/config.ts'
import { REFUSALS } from '../authority/refusal.ts'
import { ANNOTATIONS } from '../contract/annotations.ts'
import { AUTHORITY } from '../contract/certificates.ts'
import { AWS_ENV, CONFLICTING_ENV, INJECTION_LABEL, PREFIX } from '../contract/names.ts'
import { FLAGS } from '../webhook/config.ts'

const REPOSITORY = join(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(REPOSITORY, file), 'utf8')
const README = read('README.md')

/** Rows of the table that follows a heading. */
function table(heading: string): string {
  const [, after = ''] = README.split(`\n## ${heading}\n`)
  return after.split('\n## ')[0] ?? ''
}

describe('README', () => {
  const annotations = Object.values(ANNOTATIONS).flatMap((keys) => Object.keys(keys))

  test.each([...new Set(annotations)])('has the annotation %s', (key) => {
    expect(table('Annotations')).toContain(`| \`${PREFIX}${key}\` |`)
  })

  test('names no annotation or label that does not exist', () => {
    const known = [
      ...annotations.map((key) => PREFIX + key),
      INJECTION_LABEL.key,
      AUTHORITY.audience,
    ]
    const named = README.match(/nocreds\.dev\/[a-z-]+/g) ?? []
    const isFolder = (key: string): boolean => /\/(aws|tls)$/.test(key)
    expect(named.filter((key) => !known.includes(key) && !isFolder(key))).toEqual([])
  })

  test.each([
    ['webhook', FLAGS],
    ['authority', AUTHORITY_FLAGS],
  ])('has every flag of the %s and no other', (program, flags) => {
    // First column: the text of a row may speak of another flag.
    const rows = table(`Flags of the ${program}`).match(/^\| `--.*?(?= \| )/gm) ?? []
    const named = rows.join().match(/`--[a-z-]+`/g) ?? []
    expect([...new Set(named)].sort()).toEqual(
      Object.keys(flags)
        .map((name) => `\`--${name}\``)
        .sort(),
    )
  })

  test('says how to mend each denial', () => {
    const [, reasons = ''] = read('webhook/admit/verdict.ts').split('export type Reason =')
    const all = (reasons.split('\n\n')[0] ?? '').match(/'[a-z-]+'/g) ?? []
    expect(all.length).toBeGreaterThan(15)
    for (const reason of all) {
      expect(table('When something is denied')).toContain(`\`${reason.slice(1, -1)}\``)
    }
  })

  test('says how to mend each refusal of the authority', () => {
    const rows = table('Certificates: the authority').match(/^\| `[a-z-]+` \| \d+ /gm) ?? []
    expect(rows).toEqual(
      Object.entries(REFUSALS).map(([code, status]) => `| \`${code}\` | ${status} `),
    )
    expect(README).toContain(`https://${AUTHORITY.host}${AUTHORITY.path}`)
  })

  test('names only AWS variables that the contract knows', () => {
    const known = [...Object.values(AWS_ENV), ...CONFLICTING_ENV, 'AWS_SDK_LOAD_CONFIG']
    const named = README.match(/AWS_[A-Z0-9_]+/g) ?? []
    expect(named.filter((name) => !known.includes(name))).toEqual([])
  })
})

describe('the programs of "Mutual TLS in your program"', () => {
  const FENCED = /```(\w+)\n([^]*?)```/g
  // Each part of the chapter begins with the name in bold and the links to its files.
  const parts = table('Mutual TLS in your program')
    .split(/\n(?=\*\*\w+\*\*)/)
    .slice(1)
  const snippets = parts.flatMap((part) => {
    const files = [...part.matchAll(/\]\((examples\/[^)]+)\)/g)].map(([, file = '']) => file)
    return [...part.matchAll(FENCED)].map(([, language = '', text = '']) => ({
      language,
      begin: text.split('\n')[0],
      text,
      files,
    }))
  })

  test('are there for each of the five', () => {
    const languages = new Set(snippets.map(({ language }) => language))
    expect([...languages]).toEqual(['js', 'go', 'python', 'nginx', 'yaml'])
  })

  test.each(snippets)('are the lines of the files ($language): $begin', ({ text, files }) => {
    const linesOf = (all: string): string => all.replaceAll(/^\s+/gm, '')
    expect(files.map((file) => linesOf(read(file))).join('\n')).toContain(linesOf(text))
  })
})

describe('the pages', () => {
  test.each(['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CHANGELOG.md'])(
    '%s links only to files that are there',
    (page) => {
      const links = [...read(page).matchAll(/\]\(([^)#:]+)\)/g)].map(([, target]) => target ?? '')
      for (const target of links) expect(() => read(target)).not.toThrow()
    },
  )

  test('ARCHITECTURE.md gives a reason for each dependency', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string>
    >
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      expect(version).toMatch(/^\d/) // pinned
      expect(read('ARCHITECTURE.md')).toContain(`\`${name}\``)
    }
  })
})
