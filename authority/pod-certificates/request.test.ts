import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isDecided } from './request.ts'

const decided = (status: unknown): boolean => isDecided({ metadata: {}, status })

test.each(['Issued', 'Denied', 'Failed'])('a request with the condition %s is decided', (type) => {
  expect(decided({ conditions: [{ type, status: 'True' }] })).toBe(true)
})

test.each<[what: string, status: unknown]>([
  ['no status', undefined],
  ['a status that is null', null],
  ['a status that is a text', 'Issued'],
  ['no conditions', {}],
  ['conditions that are null', { conditions: null }],
  ['a text', { conditions: 'Issued' }],
  ['one condition without its list', { conditions: { type: 'Issued' } }],
  ['a list of texts', { conditions: ['Issued'] }],
  ['a type that is a list', { conditions: [{ type: ['Issued'] }] }],
  ['another type', { conditions: [{ type: 'SuggestedKeyType' }] }],
])('%s decides nothing', (_, status) => {
  expect(decided(status)).toBe(false)
})

test('whatever else is in the list, a decision counts', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.array(fc.jsonValue()), (before, after) => {
      const conditions = [...before, { type: 'Denied' }, ...after]
      expect(decided({ conditions })).toBe(true)
    }),
  )
})
