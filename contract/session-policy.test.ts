import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { POLICY_LIMITS, policyArns, sessionPolicy } from './session-policy.ts'

const ARN = 'arn:aws:iam::111122223333:policy/team-a/read'
const ofLength = (length: number): string => `{"a":"${'x'.repeat(length - 8)}"}`

describe('session policy', () => {
  test('any text is taken as it is, or refused', () => {
    const anyText = fc.oneof(fc.string(), fc.json(), fc.dictionary(fc.string(), fc.jsonValue()))
    fc.assert(
      fc.property(anyText, (one) => {
        const text = typeof one === 'string' ? one : JSON.stringify(one)
        const policy = sessionPolicy.parse(text)
        if (policy === undefined) return
        expect(sessionPolicy.format(policy)).toBe(text)
        expect(JSON.parse(policy)).toBeInstanceOf(Object)
        expect(policy.length).toBeLessThanOrEqual(POLICY_LIMITS.characters)
      }),
    )
  })

  test.each([
    ['nothing', ''],
    ['no JSON', '{Version: 2012-10-17}'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"{}"'],
    ['too long', ofLength(POLICY_LIMITS.characters + 1)],
    ['a letter beyond Latin-1', '{"a":"€"}'],
    ['a control character', '{"a":\u0001}'],
  ])('refused: %s', (_, text) => {
    expect(sessionPolicy.parse(text)).toBeUndefined()
  })

  test.each([
    ['the longest', ofLength(POLICY_LIMITS.characters)],
    ['with line breaks', '{\r\n\t"Version": "2012-10-17"\n}\n'],
    ['with a variable of policies', '{"Resource":"${aws:PrincipalTag/team}"}'],
    ['with a letter of Latin-1', '{"a":"ä"}'],
  ])('taken: %s', (_, text) => {
    expect(sessionPolicy.parse(text)).toBe(text)
  })
})

describe('ARNs of session policies', () => {
  const anyArn = fc
    .tuple(
      fc.constantFrom('aws', 'aws-cn', 'aws-us-gov', 'aws-iso', 'aws-iso-b', 'aws-eusc'),
      fc.constantFrom('aws', '111122223333'),
      fc.stringMatching(/^[!-~]{0,20}[\w+=.@-]$/),
    )
    .map(([partition, account, name]) => `arn:${partition}:iam::${account}:policy/${name}`)

  test('what is formatted is read back', () => {
    const anyArns = fc.uniqueArray(anyArn, { minLength: 1, maxLength: POLICY_LIMITS.arns })
    fc.assert(
      fc.property(anyArns, (arns) => {
        expect(policyArns.parse(policyArns.format(arns))).toEqual(arns)
        expect(policyArns.parse(`\n  ${arns.join('\n  ')}\n`)).toEqual(arns)
      }),
    )
  })

  test.each([
    ['nothing', ''],
    ['blanks', ' \n'],
    ['one twice', `${ARN} ${ARN}`],
    ['a letter beyond ASCII', `${ARN}ä`],
    ['a role', 'arn:aws:iam::111122223333:role/app'],
    ['an unknown partition', ARN.replace('arn:aws:', 'arn:gcp:')],
    ['an account that is none', ARN.replace('111122223333', '1')],
    ['a comma between two', `${ARN}, ${ARN}2`],
    ['no name', 'arn:aws:iam::aws:policy/'],
    ['a name that is too long', `arn:aws:iam::aws:policy/${'a'.repeat(601)}`],
    [
      'more than STS takes',
      Array.from({ length: POLICY_LIMITS.arns + 1 }, (_, index) => `${ARN}${index}`).join(' '),
    ],
  ])('refused: %s', (_, text) => {
    expect(policyArns.parse(text)).toBeUndefined()
  })

  test('any text is read or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), anyArn), (text) => {
        const arns = policyArns.parse(text)
        if (arns !== undefined) expect(policyArns.parse(policyArns.format(arns))).toEqual(arns)
      }),
    )
  })
})
