import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DRIVER_ATTRIBUTES, fromAttributes, toAttributes } from './driver-volume.ts'

const ROLE = 'arn:aws:iam::111122223333:role/team-a/app'
const CREDENTIALS = {
  'role-arn': ROLE,
  'session-duration': '3600',
  'session-name': '{namespace}.{serviceaccount}',
  audience: 'sts.amazonaws.com',
}
const CERTIFICATE = { 'certificate-duration': '3600', 'certificate-dns-names': '' }

const request = fc.record({
  credentials: fc.option(
    fc.record({
      roleArn: fc.constant(ROLE),
      sessionDurationSeconds: fc.integer({ min: 1800, max: 43_200 }),
      sessionName: fc.constantFrom('{namespace}', '{namespace}.{pod}', 'fixed'),
      audience: fc.constantFrom('sts.amazonaws.com', 'other'),
      region: fc.constantFrom('eu-central-1', undefined),
      containerRoleArns: fc.constantFrom([`${ROLE}-2`], undefined),
      targetRoleArn: fc.constantFrom(ROLE, undefined),
      externalId: fc.constantFrom('a:1', undefined),
      sessionTags: fc.constantFrom([{ key: 'pod', value: '{pod}' }], undefined),
      defaultSessionTags: fc.constantFrom('true' as const, 'false' as const, undefined),
      sessionPolicy: fc.constantFrom('{"Version":"2012-10-17"}', undefined),
      sessionPolicyArns: fc.constantFrom(['arn:aws:iam::aws:policy/ReadOnlyAccess'], undefined),
    }),
    { nil: undefined },
  ),
  certificate: fc.option(
    fc.record({
      durationSeconds: fc.integer({ min: 3600, max: 86_400 }),
      dnsNames: fc.constantFrom([], ['server.team-a.svc'], ['a.example', 'b.example']),
    }),
    { nil: undefined },
  ),
})

test('what is written is read back', () => {
  fc.assert(
    fc.property(request, (wanted) => {
      fc.pre(wanted.credentials !== undefined || wanted.certificate !== undefined)
      const { containerRoleArns, targetRoleArn } = wanted.credentials ?? {}
      fc.pre(containerRoleArns === undefined || targetRoleArn === undefined)
      const attributes = toAttributes(wanted)
      expect(fromAttributes(attributes)).toEqual(wanted)
      expect(DRIVER_ATTRIBUTES).toEqual(expect.arrayContaining(Object.keys(attributes)))
    }),
  )
})

describe('attributes that anyone may have written', () => {
  test.each([
    ['none', {}, 'ERR_ATTRIBUTE_MISSING'],
    ['no role', { ...CREDENTIALS, 'role-arn': undefined }, 'ERR_ATTRIBUTE_MISSING'],
    ['a role that is none', { ...CREDENTIALS, 'role-arn': 'x' }, 'ERR_ATTRIBUTE_OUT_OF_BOUNDS'],
    ['a key that is unknown', { ...CREDENTIALS, sts: 'x' }, 'ERR_ATTRIBUTE_UNKNOWN'],
    ['a key of every object', { ...CREDENTIALS, constructor: 'x' }, 'ERR_ATTRIBUTE_UNKNOWN'],
    [
      'a day too long',
      { ...CERTIFICATE, 'certificate-duration': '172800' },
      'ERR_ATTRIBUTE_OUT_OF_BOUNDS',
    ],
    [
      'roles of containers beside a target role',
      { ...CREDENTIALS, 'container-role-arns': `${ROLE}-2`, 'target-role-arn': `${ROLE}-3` },
      'ERR_ATTRIBUTE_CONFLICT',
    ],
    [
      'a role that is named twice',
      { ...CREDENTIALS, 'container-role-arns': `${ROLE}-2 ${ROLE}` },
      'ERR_ATTRIBUTE_CONFLICT',
    ],
    ['half a certificate', { 'certificate-duration': '3600' }, 'ERR_ATTRIBUTE_MISSING'],
  ])('%s: refused by name', (_what, attributes, code) => {
    expect(() =>
      fromAttributes(JSON.parse(JSON.stringify(attributes)) as Record<string, string>),
    ).toThrow(expect.objectContaining({ code }))
  })

  test('never another error, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...DRIVER_ATTRIBUTES)), fc.string()),
        (attributes) => {
          try {
            fromAttributes(attributes)
          } catch (error) {
            expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_ATTRIBUTE_/) })
          }
        },
      ),
    )
  })
})
