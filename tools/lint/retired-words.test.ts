/**
 * Words that this repository once used in a meaning of its own. A reader does not find them elsewhere in the field, so they
 * must not come back: neither in names nor in comments, messages or pages.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'

const REPOSITORY = join(import.meta.dirname, '../..')
const READ = /(?:^|\/)(?:Makefile|Dockerfile|[^/]+\.(?:[mc]?[jt]s|md|ya?ml|sh|go|py|java|conf))$/
/** The changelog names what was renamed. This file has the words themselves, as patterns. */
const LEFT_OUT = ['CHANGELOG.md', 'tools/lint/retired-words.test.ts']
/** Ends a line that must use a name of the former version, because it speaks to a program of that version. */
const FORMER_NAME = '// a name of the former version'

/** As phrases begin: words in lower case, one blank between two. */
const RETIRED =
  /^(?:doors?|ours|errands?|anew|mend(?:s|ed|ing)?|restless|whoever|wish(?:es|ed)?|reckon(?:s|ed|ing)?|ledgers?|in step|(?:takes?|taking|took)(?: no)? part|by itself)(?= |$)/
const CONSTANT = /(?<![A-Za-z])(?:MOST|LEAST)_[A-Z]\w*/g
/** Words of prose, and the parts of identifiers: `theGate`, `THE_GATE` and `the-gate` have two each. */
const WORD = /[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g
/** What may stand between the words of a phrase: a blank, a hyphen, or the end of a line and the mark of a comment. */
const WITHIN_PHRASE = /^(?:[ _-]?|\s*\n[\s*/#>]*)$/
const LONGEST_PHRASE = 3

interface Found {
  readonly line: number
  readonly text: string
}

/** Each retired word of a text, in the order of its lines. */
function retiredIn(text: string): Found[] {
  const words = phrasesIn(text).flatMap(({ at, phrase }) => {
    const [word] = RETIRED.exec(phrase) ?? []
    return word === undefined ? [] : [{ at, text: word }]
  })
  const constants = [...text.matchAll(CONSTANT)].map(({ index, 0: name }) => ({
    at: index,
    text: name,
  }))
  return [...words, ...constants]
    .toSorted((one, other) => one.at - other.at)
    .map(({ at, text: found }) => ({ line: text.slice(0, at).split('\n').length, text: found }))
}

/** From each word of the text: that word and the next ones of its phrase. */
function phrasesIn(text: string): { readonly at: number; readonly phrase: string }[] {
  const words = [...text.matchAll(WORD)].map(({ index, 0: word }) => ({
    at: index,
    end: index + word.length,
    word: word.toLowerCase(),
  }))
  return words.map(({ at }, first) => {
    const next = words.slice(first, first + LONGEST_PHRASE)
    const last = next.findIndex(({ end }, place) => {
      const after = next[place + 1]
      return after === undefined || !WITHIN_PHRASE.test(text.slice(end, after.at))
    })
    const phrase = next.slice(0, last + 1).map(({ word }) => word)
    return { at, phrase: phrase.join(' ') }
  })
}

/** What git tracks, or would with the next commit. */
function filesOfRepository(): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z']
  const listed = execFileSync('git', args, { cwd: REPOSITORY, encoding: 'utf8' })
  return [...new Set(listed.split('\0'))].filter(
    (path) => READ.test(path) && !LEFT_OUT.includes(path) && existsSync(join(REPOSITORY, path)),
  )
}

describe('retired words', () => {
  test('are in no file', () => {
    const found = filesOfRepository().flatMap((path) => {
      const text = readFileSync(join(REPOSITORY, path), 'utf8')
      const lines = text.split('\n')
      return retiredIn(text)
        .filter(({ line }) => lines[line - 1]?.endsWith(FORMER_NAME) !== true)
        .map((one) => `${path}:${one.line}: ${one.text}`)
    })
    expect(found).toEqual([])
  })

  test.each([
    ['const certificateDoor = 1', 'door'],
    ['--certificate-door', 'door'],
    ['function isOurs()', 'ours'],
    ['const OURS = 1', 'ours'],
    ['MOST_NAMES', 'MOST_NAMES'],
    ["  'in-step': 1", 'in step'],
    ['/**\n * Renewed by\n * itself.', 'by itself'],
    ['It takes no part.', 'takes no part'],
  ])('are found: %j', (text, word) => {
    expect(retiredIn(text).map((one) => one.text)).toEqual([word])
  })

  test.each([
    '24 hours',
    'recommend',
    'outdoors',
    'ALMOST_ALL',
    'in steps',
    'stand by, itself',
    'takes no argument',
  ])('are not seen in others: %s', (text) => {
    expect(retiredIn(text)).toEqual([])
  })

  test('are found with the line on which they begin', () => {
    expect(retiredIn('one\n// two, in\n// step')).toEqual([{ line: 2, text: 'in step' }])
  })
})
