import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { FLAGS as AUTHORITY_FLAGS } from '../authority/config.ts'
import { ANNOTATIONS } from '../contract/annotations.ts'
import { AUTHORITY } from '../contract/certificates.ts'
import { DELIVERIES, DELIVERY_NAMES } from '../contract/delivery.ts'
import { AWS_ENV, CONFLICTING_ENV, INJECTION_LABEL, PREFIX } from '../contract/names.ts'
import { FLAGS as WEBHOOK_FLAGS } from '../webhook/config.ts'
import { blocksIn, chapterOf, HAND_WRITTEN, PAGES, read, REPOSITORY } from './pages.test-data.ts'

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}

function anchorsOf(page: string): string[] {
  const headings = read(page)
    .replaceAll(/^ *```[^]*?^ *```$/gm, '')
    .matchAll(/^#+ (.*)$/gm)
  const seen = new Map<string, number>()
  return [...headings].map(([, heading = '']) => {
    const anchor = anchorOf(heading)
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}

function linksIn(page: string): string[] {
  const text = read(page).replaceAll(/^ *```[^]*?^ *```$/gm, '')
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
}

/** What is wrong with a link; undefined if nothing is. */
function whyBroken(page: string, link: string): string | undefined {
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? page : normalize(join(dirname(page), file))
  if (!existsSync(join(REPOSITORY, target))) return `${link}: no file ${target}`
  if (anchor === undefined || anchorsOf(target).includes(anchor)) return undefined
  return `${link}: no heading #${anchor} in ${target}`
}

test('the page of deliveries has each of them, with the variables of its app', () => {
  const text = read('docs/deliveries.md')
  const first = text.slice(
    text.indexOf('| delivery |'),
    text.indexOf('\n\n', text.indexOf('| delivery |')),
  )
  const rows = first.split('\n').slice(2)
  expect(rows.map((row) => /`([^`]+)`/.exec(row)?.[1])).toEqual(DELIVERY_NAMES)
  DELIVERY_NAMES.forEach((delivery, index) => {
    for (const key of DELIVERIES[delivery].appEnv) expect(rows[index]).toContain(AWS_ENV[key])
  })
})

describe('links', () => {
  test.each(PAGES)('%s links only to files and headings that are there', (page) => {
    expect(linksIn(page).flatMap((link) => whyBroken(page, link) ?? [])).toEqual([])
  })

  test.each([
    ['README.md', 'docs/nowhere.md', 'no file'],
    ['docs/roles.md', '#nowhere', 'no heading'],
    ['docs/roles.md', '../README.md#nowhere', 'no heading'],
  ])('a broken link is found: %s %s', (page, link, why) => {
    expect(whyBroken(page, link)).toContain(why)
  })

  test('the README leads to every page of docs/', () => {
    const linked = linksIn('README.md')
    expect(PAGES.filter((page) => page.startsWith('docs/') && !linked.includes(page))).toEqual([])
  })
})

/** Of other programs. */
const OTHER_FLAGS = [
  '--admission-control-config-file',
  '--all-namespaces',
  '--api-audiences',
  '--aws-region',
  '--aws-vpc-id',
  '--check',
  '--dry-run',
  '--help',
  '--service-account-issuer',
  '--service-account-jwks-uri',
  '--show-labels',
]

describe('names', () => {
  const annotations = Object.values(ANNOTATIONS).flatMap((keys) => Object.keys(keys))
  const inCode = (page: string): string =>
    [...read(page).matchAll(/```[^]*?```|`[^`\n]+`/g)].map(([text]) => text).join('\n')

  test.each(HAND_WRITTEN)('%s names no annotation or label that does not exist', (page) => {
    const known = [
      ...annotations.map((key) => PREFIX + key),
      INJECTION_LABEL.key,
      AUTHORITY.audience,
      AUTHORITY.signerName,
    ]
    const named = read(page).match(/(?<![\w.-])nocreds\.dev\/[a-z-]+/g) ?? []
    const isFolder = (key: string): boolean => /\/(aws|tls)$/.test(key)
    expect(named.filter((key) => !known.includes(key) && !isFolder(key))).toEqual([])
  })

  test.each(HAND_WRITTEN)('%s names only flags that exist', (page) => {
    const known = [...Object.keys(WEBHOOK_FLAGS), ...Object.keys(AUTHORITY_FLAGS)]
    const named = proseWithCode(page).match(/(?<=`)--[a-z-]+/g) ?? []
    const unknown = named.filter((flag) => !known.includes(flag.slice(2)))
    expect(unknown.filter((flag) => !OTHER_FLAGS.includes(flag))).toEqual([])
  })

  test.each(HAND_WRITTEN)('%s names only metrics that exist', (page) => {
    const known: readonly string[] =
      read('docs/reference/metrics.md').match(/nocreds_[a-z_]+/g) ?? []
    const named = inCode(page).match(/\bnocreds_[a-z_]+/g) ?? []
    expect(named.filter((name) => !known.includes(name))).toEqual([])
  })

  test.each(HAND_WRITTEN)('%s names only AWS variables that the contract knows', (page) => {
    const known = [...Object.values(AWS_ENV), ...CONFLICTING_ENV, 'AWS_SDK_LOAD_CONFIG']
    const named = read(page).match(/\bAWS_[A-Z0-9_]+/g) ?? []
    expect(named.filter((name) => !known.includes(name))).toEqual([])
  })

  test('the authority is where docs/certificates.md says', () => {
    expect(read('docs/certificates.md')).toContain(`https://${AUTHORITY.host}${AUTHORITY.path}`)
  })

  function proseWithCode(page: string): string {
    return read(page).replaceAll(/^ *```[^]*?^ *```$/gm, '')
  }
})

test('the README has at most 10 kB', () => {
  expect(Buffer.byteLength(read('README.md'))).toBeLessThanOrEqual(10_000)
})

describe('the programs of "Mutual TLS in your program"', () => {
  // Each part of the chapter begins with the name in bold and the links to its files.
  const parts = chapterOf('docs/certificates.md', 'Mutual TLS in your program')
    .split(/\n(?=\*\*\w+\*\*)/)
    .slice(1)
  const snippets = parts.flatMap((part) => {
    const files = [...part.matchAll(/\]\(\.\.\/(examples\/[^)]+)\)/g)].map(([, file = '']) => file)
    return blocksIn(part).map(({ language, text }) => ({
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

test.each(['CONTRIBUTING.md', 'MAINTAINERS.md'])('%s names only files that are there', (page) => {
  const named = [...read(page).matchAll(/`([\w.-]+\/[\w./-]*)`/g)].map(([, path = '']) => path)
  expect(named.filter((path) => !existsSync(join(REPOSITORY, path)))).toEqual([])
})
