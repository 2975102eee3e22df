import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import { SETTINGS } from '../../../testbed/webhook-settings.ts'
import type { Container } from '../pod.ts'
import type { Injection } from './injection.ts'
import { differenceFromOurs } from './sidecar.ts'
import { ourSidecars } from './whole.ts'

const DIGEST = `@sha256:${'a'.repeat(64)}`
const OTHER_DIGEST = `@sha256:${'b'.repeat(64)}`

const INJECTION: Injection = {
  ...SETTINGS,
  namespace: 'team-a',
  serviceAccount: 'app',
  request: {
    credentials: {
      role: parseRoleArn('arn:aws:iam::111122223333:role/app')!,
      delivery: 'process',
      sessionDurationSeconds: 3600,
      sessionName: '{namespace}.{serviceaccount}',
      audience: 'sts.amazonaws.com',
      tokenExpirationSeconds: 3600,
      region: undefined,
    },
    certificate: undefined,
    skipContainers: [],
  },
}

function ours(image: string, pullPolicy: 'IfNotPresent' | 'Always' = 'IfNotPresent'): Container {
  const [only] = ourSidecars({
    ...INJECTION,
    exchangerImage: image,
    exchangerImagePullPolicy: pullPolicy,
  })
  return only!
}

/** The difference of our container with a few fields changed. */
function difference(of: Container, changes: object, former: string[] = []): string | undefined {
  return differenceFromOurs({ ...of, ...changes }, of, former)
}

describe('image', () => {
  test.each([
    ['another registry', `e/x:1`, { image: 'evil.example/e/x:1' }, 'image'],
    ['another tag', 'e/x:1', { image: 'e/x:2' }, 'image'],
    ['none', 'e/x:1', { image: undefined }, 'image'],
    ['a mirror of the digest', `e/x${DIGEST}`, { image: `mirror/e/x:1${DIGEST}` }, undefined],
    ['another digest', `e/x${DIGEST}`, { image: `e/x${OTHER_DIGEST}` }, 'image'],
    ['the tag of a digest', `e/x:1${DIGEST}`, { image: 'e/x:1' }, 'image'],
  ])('%s', (_, image, changes, found) => {
    expect(difference(ours(image), changes)).toBe(found)
  })

  test('the former one, and the same under another name by its digest', () => {
    const former = ['e/x:0', `e/y${DIGEST}`]
    expect(difference(ours('e/x:1'), { image: 'e/x:0' }, former)).toBeUndefined()
    expect(difference(ours('e/x:1'), { image: `mirror/y${DIGEST}` }, former)).toBeUndefined()
    expect(difference(ours('e/x:1'), { image: 'mirror/e/x:0' }, former)).toBe('image')
  })
})

describe('pull policy', () => {
  test.each([
    ['e/x:1', 'IfNotPresent', 'IfNotPresent', undefined],
    ['e/x:1', 'IfNotPresent', 'Always', 'imagePullPolicy'],
    ['e/x:1', 'Always', 'Always', undefined],
    ['e/x:1', 'Always', 'IfNotPresent', 'imagePullPolicy'],
    ['e/x:1', 'IfNotPresent', 'Never', 'imagePullPolicy'],
    ['e/x:1', 'IfNotPresent', undefined, 'imagePullPolicy'],
    [`e/x${DIGEST}`, 'IfNotPresent', 'Always', undefined],
    [`e/x${DIGEST}`, 'Always', 'Never', undefined],
  ] as const)('%s by %s, found %s', (image, pullPolicy, imagePullPolicy, found) => {
    expect(difference(ours(image, pullPolicy), { imagePullPolicy })).toBe(found)
  })
})

describe('resources', () => {
  test.each([
    [undefined, undefined],
    [{}, undefined],
    [{ limits: { memory: '1Gi' }, requests: { cpu: '1' } }, undefined],
    [{ claims: [] }, undefined],
    [{ claims: null }, undefined],
    [{ claims: [{ name: 'dev' }] }, 'resources'],
  ])('%j', (resources, found) => {
    expect(difference(ours('e/x:1'), { resources })).toBe(found)
  })
})

test('any other field that is added, changed or missing is a difference', () => {
  const our = ours('e/x:1')
  const free = ['image', 'imagePullPolicy', 'resources', 'volumeMounts']
  const changed = Object.keys(our).filter((field) => !free.includes(field))
  const added = fc
    .oneof(fc.string(), fc.constantFrom('constructor', 'toString', 'envFrom', 'ports', 'stdin'))
    .filter((field) => !(field in our) && field !== '__proto__')
  const value = fc.oneof(fc.constant('x'), fc.constant(false), fc.constant({}), fc.constant([]))
  fc.assert(
    fc.property(fc.oneof(added, fc.constantFrom(...changed)), value, (field, one) => {
      expect(difference(our, { [field]: one })).toBe(field)
    }),
  )
  for (const field of changed) expect(difference(our, { [field]: undefined })).toBe(field)
})
