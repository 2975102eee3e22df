import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AnnotationError, type ServiceAccountAnnotations } from './annotations.ts'
import { DELIVERY_NAMES } from './delivery.ts'
import { DEFAULT_EXCHANGER_RESOURCES } from './exchanger-resources.ts'
import {
  resolveRequest,
  type InjectionDefaults,
  type InjectionRequest,
} from './injection-request.ts'
import { MAX_CHAINED_SESSION_SECONDS } from './values.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'
const TARGET = 'arn:aws:iam::444455556666:role/data'
const DEFAULTS: InjectionDefaults = {
  audience: 'sts.amazonaws.com',
  delivery: 'process',
  region: undefined,
  exchanger: 'sidecar',
  driverAudiences: ['sts.amazonaws.com'],
  certificateSource: 'authority',
  exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
}

const resolve = (
  ofAccount: ServiceAccountAnnotations,
  ofPod: ServiceAccountAnnotations = {},
): InjectionRequest | undefined => resolveRequest(ofPod, ofAccount, DEFAULTS)

describe('a second role', () => {
  const TWO: ServiceAccountAnnotations = { 'role-arn': ROLE, 'target-role-arn': TARGET }

  test('with external ID and tags; none of them is required', () => {
    const tags = [{ key: 'team', value: 'a' }]
    const all = { ...TWO, 'external-id': 'id', 'session-tags': tags }
    expect(resolve(all)?.credentials).toMatchObject({
      role: { arn: ROLE },
      target: { role: { arn: TARGET }, externalId: 'id', tags },
    })
    expect(resolve(TWO)?.credentials?.target).toMatchObject({ externalId: undefined, tags: [] })
    expect(resolve({ 'role-arn': ROLE })?.credentials?.target).toBeUndefined()
  })

  test('each annotation of the Pod counts before that of its ServiceAccount', () => {
    const other = { 'target-role-arn': `${TARGET}-of-pod`, 'external-id': 'of-pod' }
    const request = resolve({ ...TWO, 'external-id': 'id' }, other)
    expect(request?.credentials?.target).toMatchObject({
      role: { arn: `${TARGET}-of-pod` },
      externalId: 'of-pod',
    })
  })

  test('the longest session of a role alone is not that of a second one', () => {
    const hours = { 'session-duration': 43_200 }
    expect(resolve({ 'role-arn': ROLE, ...hours })?.credentials).toBeDefined()
    const longest = { ...TWO, 'session-duration': MAX_CHAINED_SESSION_SECONDS }
    expect(resolve(longest)?.credentials?.sessionDurationSeconds).toBe(3600)
  })

  const REFUSED: [string, ServiceAccountAnnotations, string][] = [
    ['a session above an hour', { ...TWO, 'session-duration': 3601 }, 'is 3601'],
    ['another partition', { ...TWO, 'target-role-arn': TARGET.replace('aws', 'aws-cn') }, 'aws-cn'],
    ['no first role', { 'target-role-arn': TARGET }, 'without nocreds.dev/role-arn'],
    ['an external ID alone', { 'role-arn': ROLE, 'external-id': 'id' }, 'external-id'],
    ['session tags alone', { 'role-arn': ROLE, 'session-tags': [] }, 'session-tags'],
  ]
  test.each(REFUSED)('refused: %s', (_, annotations, part) => {
    expect(() => resolve(annotations)).toThrow(
      expect.objectContaining({
        code: 'ERR_ANNOTATION_CONFLICT',
        message: expect.stringContaining(part),
      }),
    )
  })
})

describe('with web-identity the app calls STS itself', () => {
  const OF_EXCHANGERS: ServiceAccountAnnotations = {
    'target-role-arn': TARGET,
    'external-id': 'id',
    'session-tags': [{ key: 'team', value: 'a' }],
    'session-policy': '{}',
    'session-policy-arns': ['arn:aws:iam::aws:policy/ReadOnlyAccess'],
  }
  test.each(Object.keys(OF_EXCHANGERS) as (keyof typeof OF_EXCHANGERS)[])('no %s', (key) => {
    const annotations = { 'role-arn': ROLE, [key]: OF_EXCHANGERS[key] }
    expect(() => resolve({ ...annotations, delivery: 'web-identity' })).toThrow(
      expect.objectContaining({
        code: 'ERR_ANNOTATION_CONFLICT',
        message: expect.stringContaining(`nocreds.dev/${key} is set, but delivery is web-identity`),
      }),
    )
  })
})

test('any annotations are resolved, or refused with a message', () => {
  const annotations = fc.record(
    {
      'role-arn': fc.constant(ROLE),
      'target-role-arn': fc.constantFrom(TARGET, TARGET.replace('aws', 'aws-us-gov')),
      'external-id': fc.constant('id'),
      'session-tags': fc.constant([{ key: 'team', value: 'a' }]),
      'session-policy': fc.constant('{}'),
      'session-duration': fc.constantFrom(1800, 3600, 3601),
      delivery: fc.constantFrom(...DELIVERY_NAMES),
      exchanger: fc.constantFrom('sidecar' as const, 'driver' as const),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(annotations, annotations, (ofAccount, ofPod) => {
      const either = { ...ofAccount, ...ofPod }
      try {
        const request = resolve(ofAccount, ofPod)
        const target = request?.credentials?.target
        expect(target?.role.arn).toBe(either['target-role-arn'])
        expect(target?.externalId).toBe(target && either['external-id'])
        expect(request?.credentials?.role.arn).toBe(either['role-arn'])
      } catch (error) {
        if (!(error instanceof AnnotationError)) throw error
        expect(error.code).toBe('ERR_ANNOTATION_CONFLICT')
      }
    }),
  )
})
