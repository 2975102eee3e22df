import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { applyPatch } from 'rfc6902'
import type { WantedCredentials } from '../../contract/annotations.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import { DELIVERIES } from '../../contract/values.ts'
import { anyPod } from '../../testbed/arbitrary-pod.ts'
import { inject } from './inject.ts'
import { diff } from './json-patch.ts'
import { TRUST_BUNDLE_SOURCES, type Injection } from './ours/injection.ts'
import { servable } from './servable.ts'

const anyInjection: fc.Arbitrary<Injection> = fc
  .record({
    delivery: fc.constantFrom(...DELIVERIES, undefined),
    dnsNames: fc.constantFrom(undefined, [], ['web.team-a', 'www.example.com']),
    certificateDoor: fc.constantFrom('authority' as const, 'pod-certificate' as const),
    trustBundle: fc.constantFrom(...TRUST_BUNDLE_SOURCES),
    region: fc.constantFrom(undefined, 'eu-central-1'),
    skipContainers: fc.constantFrom<string[][]>([], ['a'], ['b', 'c']),
  })
  .filter(({ delivery, dnsNames }) => delivery !== undefined || dnsNames !== undefined)
  .map(({ delivery, dnsNames, region, certificateDoor, trustBundle, skipContainers }) => {
    const credentials: WantedCredentials | undefined = delivery && {
      role: parseRoleArn('arn:aws:iam::111122223333:role/app')!,
      sessionDurationSeconds: 3600,
      sessionName: '{namespace}.{serviceaccount}',
      audience: 'sts.amazonaws.com',
      tokenExpirationSeconds: 3600,
      delivery,
      region,
    }
    const certificate = dnsNames && { durationSeconds: 3600, dnsNames }
    return {
      request: { credentials, certificate, skipContainers },
      certificateDoor,
      trustBundle,
      authorityUrl: 'https://nocreds-authority.nocreds-system.svc',
      namespace: 'team-a',
      serviceAccount: 'app',
      exchangerImage: 'nocreds/exchanger:0.1.0',
      exchangerImages: [],
      exchangerImagePullPolicy: 'IfNotPresent',
      stsEndpoint: undefined,
      stsProxy: undefined,
      stsNoProxy: undefined,
      stsCa: undefined,
    }
  })

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** Every leaf of a value, as `path=json`. */
function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [`${path}=${JSON.stringify(value)}`]
  const inner = Object.entries(value).flatMap(([key, one]) => leaves(one, `${path}/${key}`))
  return inner.length > 0 ? inner : [`${path}=${JSON.stringify(value)}`]
}

describe('inject', () => {
  test('is idempotent: a second pass gives the same pod, by reference', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const once = inject(pod, injection)
        expect(inject(once, injection)).toBe(once)
      }),
    )
  })

  test('gives a pod that the checks take for ours', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        expect(servable(inject(pod, injection), injection)).toBeUndefined()
      }),
    )
  })

  test('a replica that takes the trust bundle from elsewhere leaves it as it is', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const injected = inject(pod, injection)
        for (const trustBundle of TRUST_BUNDLE_SOURCES) {
          const other = { ...injection, trustBundle }
          expect(servable(injected, other)).toBeUndefined()
          expect(inject(injected, other)).toBe(injected)
        }
      }),
    )
  })

  test('the patch applied to the pod equals the injected pod', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const injected = inject(pod, injection)
        const patched = copy(pod)
        const errors = applyPatch(patched, copy(diff(pod, injected)))
        expect(errors.every((error) => error === null)).toBe(true)
        expect(patched).toEqual(copy(injected))
      }),
    )
  })

  test('only adds: every field that was there is there still, unknown ones too', () => {
    const withoutIndices = (all: string[]): string[] =>
      all.map((leaf) => leaf.replaceAll(/\/\d+(?=[/=])/g, '/*')).sort()
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const before = withoutIndices(leaves(pod)).filter((leaf) => !/=(\{\}|\[\])$/.test(leaf))
        const after = withoutIndices(leaves(inject(pod, injection)))
        for (const leaf of before) {
          const index = after.indexOf(leaf)
          expect(index).toBeGreaterThanOrEqual(0)
          after.splice(index, 1)
        }
      }),
    )
  })

  test('never mentions a value of the pod in the patch', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const operations = diff(pod, inject(pod, injection))
        expect(operations.every((operation) => operation.op === 'add')).toBe(true)
        expect(JSON.stringify(operations)).not.toContain('future')
      }),
    )
  })
})

describe('diff', () => {
  test('turns any JSON into any other', () => {
    // The library that applies patches here drops fields of this name; Kubernetes has none.
    const ordinary = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'))
    const holder = fc.record({ root: ordinary })
    fc.assert(
      fc.property(holder, holder, (before, after) => {
        const patched = copy(before)
        const errors = applyPatch(patched, copy(diff(before, after)))
        expect(errors.every((error) => error === null)).toBe(true)
        expect(patched).toEqual(copy(after))
      }),
    )
  })
})
