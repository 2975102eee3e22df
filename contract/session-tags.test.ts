import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  fillInTag,
  formatTag,
  RESERVED_TAG_KEYS,
  sessionTags,
  TAG_LIMITS,
  type SessionTag,
} from './session-tags.ts'

const anyKey = fc
  .stringMatching(/^[\w.:/+@-]{1,10}$/)
  .filter((key) => !/^aws:/i.test(key) && !RESERVED_TAG_KEYS.includes(key.toLowerCase()))
/** Without blanks at the end, which do not count. */
const anyValue = fc
  .array(fc.constantFrom('a', 'Ä', '語', '7', '=', '-', ' x', '{namespace}', '{pod}'), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''))
const anyTags: fc.Arbitrary<SessionTag[]> = fc.uniqueArray(
  fc.record({ key: anyKey, value: anyValue }),
  { selector: ({ key }) => key.toLowerCase(), minLength: 1, maxLength: TAG_LIMITS.tags },
)

const tagsOf = (count: number): string =>
  Array.from({ length: count }, (_, index) => `t${index}=`).join(',')

describe('session tags', () => {
  test('what is formatted is read back', () => {
    fc.assert(
      fc.property(anyTags, (tags) => {
        const text = sessionTags.format(tags)
        fc.pre(text.length <= TAG_LIMITS.text)
        expect(sessionTags.parse(text)).toEqual(tags)
      }),
    )
  })

  test('any text is read or refused; what is read is in bounds, and is read the same again', () => {
    const anyText = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom('a', 'A', '=', ',', ' ', '{pod}', '{', 'aws:', '*') }),
      anyTags.map((tags) => tags.map(formatTag).join(', ')),
    )
    fc.assert(
      fc.property(anyText, (text) => {
        const tags = sessionTags.parse(text)
        if (tags === undefined) return
        expect(tags.length).toBeGreaterThan(0)
        expect(tags.length).toBeLessThanOrEqual(TAG_LIMITS.tags)
        expect(new Set(tags.map(({ key }) => key.toLowerCase())).size).toBe(tags.length)
        expect(sessionTags.parse(sessionTags.format(tags))).toEqual(tags)
      }),
    )
  })

  test.each([
    ['nothing', ''],
    ['a comma', ','],
    ['no value', 'team'],
    ['no key', '=a'],
    ['a key of blanks', ' =a'],
    ['a key twice, in another case', 'team=a,Team=b'],
    ['a key of AWS', 'aws:team=a'],
    ['a key of AWS, in another case', 'AWS:team=a'],
    ['a letter in a key that folds to another', 'tеam=a'], // Cyrillic
    ['an unknown placeholder', 'team={node}'],
    ['a placeholder in a key', '{namespace}=a'],
    ['a brace', 'team={'],
    ['a character that STS does not take', 'team=a*'],
    ['a line break', 'team=a\nb'],
    ['a key that is too long', `${'k'.repeat(129)}=`],
    ['a value that is too long', `k=${'a'.repeat(257)}`],
    ['more than a session may have', tagsOf(TAG_LIMITS.tags + 1)],
    ['a text that is too long', `k=${' '.repeat(TAG_LIMITS.text)}`],
    ...RESERVED_TAG_KEYS.flatMap((key): [string, string][] => [
      [`the key ${key}`, `${key}=a`],
      [`the key ${key} in another case`, `${key.toUpperCase()}=a`],
    ]),
  ])('refused: %s', (_, text) => {
    expect(sessionTags.parse(text)).toBeUndefined()
  })

  test.each([
    ['as many as a session may have', tagsOf(TAG_LIMITS.tags), TAG_LIMITS.tags],
    ['the longest key', `${'k'.repeat(TAG_LIMITS.key)}=`, 1],
    ['the longest value', `k=${'a'.repeat(TAG_LIMITS.value)}`, 1],
    ['blanks and line breaks around tags', ' a=1,\n b=2 ,', 2],
  ])('read: %s', (_, text, count) => {
    expect(sessionTags.parse(text)).toHaveLength(count)
  })

  test('an equals sign behind the first one is of the value', () => {
    expect(sessionTags.parse('a=b=c')).toEqual([{ key: 'a', value: 'b=c' }])
  })

  test('placeholders are filled in as far as their values are known', () => {
    const tag = { key: 'who', value: '{namespace}/{serviceaccount}/{pod}' }
    expect(fillInTag(tag, { namespace: 'n', serviceaccount: 's' })).toEqual({
      key: 'who',
      value: 'n/s/{pod}',
    })
    expect(formatTag(fillInTag(tag, { namespace: 'n', serviceaccount: 's', pod: 'p' }))).toBe(
      'who=n/s/p',
    )
  })
})
