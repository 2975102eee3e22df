import { describe, expect, test } from '@jest/globals'
import { expressionWarnings } from './expressions.ts'

describe('an expression that seems to mean something else is warned about', () => {
  test.each([
    ['a glob', 'arn:aws:iam::111122223333:role/team-a/*', 'as in a glob'],
    ['a glob for everything', 'arn:aws:iam::111122223333:role/*', 'as in a glob'],
    ['a list', 'arn:aws:iam::1:role/a, arn:aws:iam::1:role/b', 'white space'],
    ['a list by lines', 'arn:aws:iam::1:role/a\narn:aws:iam::1:role/b', 'white space'],
    ['a list in JSON', '["reader"]', 'JSON list'],
    ['a short name', 'reportingdb-reader', 'matches no role ARN'],
    ['a path', '/team-a/.*', 'matches no role ARN'],
    ['short names', 'reader|writer', 'matches no role ARN'],
    ['a short name beside an ARN', 'arn:aws:iam::1:role/a|writer', '"writer" matches no role ARN'],
    ['another kind of ARN', 'arn:sts:.*', 'matches no role ARN'],
  ])('%s', (_what, expression, why) => {
    expect(expressionWarnings(expression)).toEqual([expect.stringContaining(why)])
  })

  test.each([
    undefined,
    '',
    ' \n',
    '.+',
    'arn:.*',
    'ar?n?:.*',
    'arn:aws:iam::111122223333:role/team-a/.*',
    ' arn:aws:iam::111122223333:role/team-a/app\n',
    '^arn:aws:iam::111122223333:role/app$',
    'arn:aws-us-gov:iam::111122223333:role/app',
    '(arn:aws|arn:aws-cn):iam::[0-9]{12}:role/a,b',
    'arn:aws:iam::1:role/a|arn:aws:iam::1:role/b',
    '.*:role/team-a/.*|.*:role/team-b',
    'a(rn:aws.*)',
    '[a]rn:.*',
  ])('but not what can be meant: %j', (expression) => {
    expect(expressionWarnings(expression)).toEqual([])
  })
})
