import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ServiceAccountAnnotations } from './annotations.ts'
import { DELIVERY_NAMES } from './delivery.ts'
import { exchanger, EXCHANGERS, unservedByDriver, type Exchanger } from './exchangers.ts'
import { annotationsWithoutExchanger, resolveRequest } from './injection-request.ts'
import type { InjectionDefaults } from './wanted.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'
const AUTHORITY = 'nocreds.dev/authority'
const DEFAULTS: InjectionDefaults = {
  audience: 'sts',
  delivery: 'process',
  region: undefined,
  exchanger: 'sidecar',
  driverAudiences: ['sts', AUTHORITY],
  baseRoleArn: undefined,
  certificateSource: 'authority',
  exchangerResources: {},
}
const ALL = Object.keys(EXCHANGERS) as Exchanger[]

/** What serves a pod whose ServiceAccount says this. */
function resolved(
  account: ServiceAccountAnnotations,
  defaults: Partial<InjectionDefaults> = {},
  pod: ServiceAccountAnnotations = {},
): Exchanger | undefined {
  return resolveRequest(pod, { 'role-arn': ROLE, ...account }, { ...DEFAULTS, ...defaults })
    ?.exchanger
}

test('every exchanger is a value of the annotation, and nothing else is', () => {
  for (const one of ALL) expect(exchanger.parse(one)).toBe(one)
  expect(exchanger.parse('Driver')).toBeUndefined()
  expect(exchanger.parse('')).toBeUndefined()
})

describe('what serves a pod', () => {
  test('the pod counts before its ServiceAccount, and that before what others chose', () => {
    const choice = fc.constantFrom(...ALL, undefined)
    fc.assert(
      fc.property(choice, choice, fc.constantFrom(...ALL), (pod, account, others) => {
        const of = (one: Exchanger | undefined): object =>
          one === undefined ? {} : { exchanger: one }
        expect(resolved(of(account), { exchanger: others }, of(pod))).toBe(pod ?? account ?? others)
      }),
    )
  })

  test('the driver is taken only if it serves the delivery and gets the tokens', () => {
    const driver = { exchanger: 'driver' } as const
    expect(resolved({ delivery: 'endpoint' }, driver)).toBe('sidecar')
    expect(resolved({ delivery: 'web-identity' }, driver)).toBe('sidecar')
    expect(resolved({ audience: 'other' }, driver)).toBe('sidecar')
    const withoutAuthority = { ...driver, driverAudiences: ['sts'] }
    expect(resolved({ certificate: 'true' }, withoutAuthority)).toBe('sidecar')
    const byKubelet = { ...withoutAuthority, certificateSource: 'pod-certificate' } as const
    expect(resolved({ certificate: 'true' }, byKubelet)).toBe('driver')
  })

  test.each([
    [{ delivery: 'endpoint' }, {}, 'delivery is "endpoint": the driver serves process only'],
    [{ delivery: 'web-identity' }, {}, 'delivery is "web-identity"'],
    [{ audience: 'other' }, {}, 'audience is "other": the driver gets tokens for sts, '],
    [{}, { audience: 'other' }, 'audience is "other"'],
    [{ certificate: 'true' }, { driverAudiences: ['sts'] }, `audience is "${AUTHORITY}"`],
  ] as const)('the driver with %j and %j is refused', (account, defaults, message) => {
    expect(() => resolved({ exchanger: 'driver', ...account }, defaults)).toThrow(
      expect.objectContaining({
        code: 'ERR_ANNOTATION_CONFLICT',
        message: expect.stringContaining(message),
      }),
    )
  })

  test('a delivery of the flag is not a conflict', () => {
    expect(resolved({ exchanger: 'driver' }, { delivery: 'endpoint' })).toBe('sidecar')
  })
})

test('the driver serves what it says, of each delivery', () => {
  for (const delivery of DELIVERY_NAMES) {
    const unserved = unservedByDriver({ delivery, audiences: ['sts'] }, ['sts'])
    expect(unserved === undefined).toBe(
      (EXCHANGERS.driver.deliveries as readonly string[]).includes(delivery),
    )
  }
  expect(unservedByDriver({ delivery: undefined, audiences: [AUTHORITY] }, ['sts'])).toMatchObject({
    what: 'audience',
    value: AUTHORITY,
  })
})

test('annotations about the sidecar and its token have no effect with the driver', () => {
  const account = { 'token-expiration': 600 }
  const pod = { 'exchanger-resources': { 'limits.cpu': '1' } }
  expect(annotationsWithoutExchanger('driver', pod, account)).toEqual([
    'nocreds.dev/token-expiration',
    'nocreds.dev/exchanger-resources',
  ])
  expect(annotationsWithoutExchanger('sidecar', pod, account)).toEqual([])
  expect(annotationsWithoutExchanger('driver', {}, {})).toEqual([])
})
