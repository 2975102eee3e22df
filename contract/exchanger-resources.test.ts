import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DEFAULT_EXCHANGER_RESOURCES, excessOf, exchangerResources } from './exchanger-resources.ts'
import { resolveRequest } from './injection-request.ts'
import type { InjectionDefaults } from './wanted.ts'

describe('exchanger-resources', () => {
  test.each([
    ['requests.cpu=10m', { 'requests.cpu': '10m' }],
    [' limits.memory=96Mi , limits.cpu=0.5', { 'limits.memory': '96Mi', 'limits.cpu': '0.5' }],
    ['limits.cpu=100m', { 'limits.cpu': '100m' }],
    ['limits.ephemeral-storage=1Gi', { 'limits.ephemeral-storage': '1Gi' }],
  ])('%s', (text, resources) => {
    expect(exchangerResources.parse(text)).toEqual(resources)
  })

  test.each([
    ['nothing', ''],
    ['a blank part', 'requests.cpu=10m,'],
    ['another name', 'requests.nvidia.com/gpu=1'],
    ['a name of objects', 'constructor=1'],
    ['no quantity', 'requests.cpu='],
    ['no quantity at all', 'requests.cpu'],
    ['a word', 'requests.cpu=much'],
    ['a name twice', 'requests.cpu=10m,requests.cpu=20m'],
    ['a CPU limit by which Node starts for half a minute', 'limits.cpu=5m'],
    ['a memory limit too low for Node', 'limits.memory=16Mi'],
    ['no CPU', 'requests.cpu=0'],
    ['a negative one', 'requests.cpu=-1'],
    ['a whole node', 'requests.cpu=64'],
    ['a whole node, by memory', 'requests.memory=512Gi'],
    ['a limit of a whole node', 'limits.memory=1e12'],
    ['a request above its limit', 'requests.memory=128Mi,limits.memory=64Mi'],
    ['a semicolon', 'requests.cpu=10m;limits.cpu=1'],
  ])('%s is out of bounds: %j', (_, text) => {
    expect(exchangerResources.parse(text)).toBeUndefined()
  })

  test('what is allowed names every name and bound', () => {
    expect(exchangerResources.allowed).toContain('limits.cpu=100m–4')
    expect(exchangerResources.allowed).toContain('requests.memory=16Mi–512Mi')
  })

  test('what is in bounds travels as text, and nothing else gets in', () => {
    const part = fc.tuple(
      fc.constantFrom('requests', 'limits', 'x'),
      fc.constantFrom('cpu', 'memory', 'ephemeral-storage', 'y'),
      fc.constantFrom('0', '50m', '100m', '1', '5', '24Mi', '64Mi', '1Gi', '2Gi'),
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = parts.map(([kind, name, value]) => `${kind}.${name}=${value}`).join(',')
        const parsed = exchangerResources.parse(text)
        if (parsed === undefined) return
        expect(exchangerResources.parse(exchangerResources.format(parsed))).toEqual(parsed)
        expect(excessOf(parsed)).toBeUndefined()
      }),
    )
  })

  test('the default is in bounds', () => {
    const text = exchangerResources.format(DEFAULT_EXCHANGER_RESOURCES)
    expect(exchangerResources.parse(text)).toEqual(DEFAULT_EXCHANGER_RESOURCES)
  })
})

const DEFAULTS: InjectionDefaults = {
  audience: 'a',
  delivery: 'process',
  region: undefined,
  exchanger: 'sidecar',
  driverAudiences: ['a'],
  baseRoleArn: undefined,
  certificateSource: 'authority',
  exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
}

test("the sidecar's resources: those of the annotation take precedence over those of the flag", () => {
  const account = {
    'role-arn': 'arn:aws:iam::111122223333:role/app',
    'exchanger-resources': { 'requests.cpu': '20m', 'limits.cpu': '200m' },
  }
  const resolved = (pod: object): unknown =>
    resolveRequest(pod, account, DEFAULTS)?.exchangerResources
  expect(resolved({})).toEqual({
    'requests.cpu': '20m',
    'limits.cpu': '200m',
    'requests.memory': '24Mi',
    'limits.memory': '64Mi',
  })
  expect(resolved({ 'exchanger-resources': { 'limits.memory': '96Mi' } })).toEqual({
    'requests.cpu': '10m',
    'requests.memory': '24Mi',
    'limits.memory': '96Mi',
  })
  expect(() => resolved({ 'exchanger-resources': { 'requests.memory': '96Mi' } })).toThrow(
    expect.objectContaining({
      code: 'ERR_ANNOTATION_OUT_OF_BOUNDS',
      message:
        'annotation nocreds.dev/exchanger-resources is "requests.memory=96Mi"; combined with --exchanger-resources of the webhook, requests.memory=96Mi is above limits.memory=64Mi; name both in the annotation',
    }),
  )
})
