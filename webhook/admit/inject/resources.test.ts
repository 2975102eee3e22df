import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  DEFAULT_EXCHANGER_RESOURCES,
  exchangerResources,
} from '../../../contract/exchanger-resources.ts'
import { nanosOf } from '../../../contract/quantity.ts'
import type { Container, Pod, Resources } from '../pod.ts'
import { isGuaranteed, sidecarResources } from './resources.ts'

function podOf(resources: (Resources | undefined)[], more: object = {}): Pod {
  const containers = resources.map((one, at) => ({ name: `c${at}`, resources: one }))
  return { metadata: {}, spec: { containers, ...more } }
}

const both = (cpu: string, memory: string): Resources => ({
  requests: { cpu, memory },
  limits: { cpu, memory },
})
const DEFAULT_FORM = { requests: { cpu: '10m', memory: '24Mi' }, limits: { memory: '64Mi' } }
const GUARANTEED_FORM = both('100m', '64Mi')

describe('the resources of the sidecar', () => {
  test.each<[string, Pod, Resources | undefined]>([
    ['no resources', podOf([undefined]), DEFAULT_FORM],
    ['no limits', podOf([{ requests: { cpu: '1', memory: '1Gi' } }]), DEFAULT_FORM],
    ['requests = limits', podOf([both('1', '1Gi')]), GUARANTEED_FORM],
    [
      'requests = limits, written otherwise',
      podOf([
        { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1000m', memory: '1024Mi' } },
      ]),
      GUARANTEED_FORM,
    ],
    ['limits alone', podOf([{ limits: { cpu: '1', memory: '1Gi' } }]), GUARANTEED_FORM],
    ['limits of memory alone', podOf([{ limits: { memory: '1Gi' } }]), DEFAULT_FORM],
    ['limits of nothing', podOf([both('0', '0')]), DEFAULT_FORM],
    ['one container of two', podOf([both('1', '1Gi'), undefined]), DEFAULT_FORM],
    [
      'an init container without',
      podOf([both('1', '1Gi')], { initContainers: [{ name: 'i' }] }),
      DEFAULT_FORM,
    ],
    [
      'an init container with',
      podOf([both('1', '1Gi')], { initContainers: [{ name: 'i', resources: both('1', '1Mi') }] }),
      GUARANTEED_FORM,
    ],
    [
      'the sidecar there already',
      podOf([both('1', '1Gi')], {
        initContainers: [{ name: 'nocreds-exchanger', resources: DEFAULT_FORM }],
      }),
      GUARANTEED_FORM,
    ],
    [
      'requests of the pod',
      podOf([both('1', '1Gi')], { resources: { requests: { cpu: '1' } } }),
      undefined,
    ],
    [
      'limits of the pod',
      podOf([undefined], { resources: { limits: { memory: '1Gi' } } }),
      undefined,
    ],
    [
      'empty resources of the pod',
      podOf([undefined], { resources: { requests: {} } }),
      DEFAULT_FORM,
    ],
    ['not a quantity', podOf([both('x', 'y')]), DEFAULT_FORM],
    ['no container', podOf([]), DEFAULT_FORM],
  ])('%s', (_, pod, resources) => {
    expect(sidecarResources(DEFAULT_EXCHANGER_RESOURCES, pod)).toEqual(resources)
  })

  test.each([
    ['limits.cpu=300m,limits.memory=96Mi', both('300m', '96Mi')],
    ['requests.cpu=500m,requests.memory=128Mi', both('500m', '128Mi')],
    ['requests.cpu=1m,requests.memory=16Mi', both('100m', '64Mi')],
    [
      'requests.ephemeral-storage=1Mi,limits.cpu=1',
      {
        requests: { cpu: '1', memory: '64Mi', 'ephemeral-storage': '1Mi' },
        limits: { cpu: '1', memory: '64Mi' },
      },
    ],
  ])('in a Guaranteed pod with %s', (text, resources) => {
    expect(sidecarResources(exchangerResources.parse(text)!, podOf([both('1', '1Gi')]))).toEqual(
      resources,
    )
  })

  test('only what is wanted is set', () => {
    const wanted = exchangerResources.parse('requests.cpu=20m')!
    expect(sidecarResources(wanted, podOf([undefined]))).toEqual({ requests: { cpu: '20m' } })
  })
})

/** The class as the apiserver computes it. Source: kubernetes/pkg/apis/core/v1/helper/qos, ComputePodQOS. */
function qosOf(containers: readonly Container[]): string {
  const requests = containers.map((one) => positive(one.resources?.requests))
  const limits = containers.map((one) => positive(one.resources?.limits))
  const [requested, limited] = [sumOf(requests), sumOf(limits)]
  if (requested.size + limited.size === 0) return 'BestEffort'
  const isComplete = limits.every((one) => one.size === 2)
  const areEqual = [...requested].every(([name, nanos]) => limited.get(name) === nanos)
  return isComplete && areEqual && requested.size === limited.size ? 'Guaranteed' : 'Burstable'
}

/** Amounts of CPU and memory that are not 0. */
function positive(
  quantities: Readonly<Record<string, unknown>> | null | undefined,
): Map<string, bigint> {
  const amounts = ['cpu', 'memory'].map((name): [string, bigint] => [
    name,
    nanosOf(quantities?.[name]) ?? 0n,
  ])
  return new Map(amounts.filter(([, nanos]) => nanos > 0n))
}

function sumOf(all: readonly Map<string, bigint>[]): Map<string, bigint> {
  const sum = new Map<string, bigint>()
  for (const [name, nanos] of all.flatMap((one) => [...one])) {
    sum.set(name, (sum.get(name) ?? 0n) + nanos)
  }
  return sum
}

const cpu = fc.constantFrom('0', '50m', '100m', '0.1', '1', '1000m')
const memory = fc.constantFrom('0', '64Mi', '67108864', '1Gi', '1024Mi')
const list = fc.record({ cpu, memory }, { requiredKeys: [] })
const mixed = fc.record({ requests: list, limits: list }, { requiredKeys: ['requests'] })
// The apiserver refuses requests above limits, and fills in a request that is missing.
const equal = fc.record({ cpu, memory }).map((one) => ({ requests: one, limits: one }))
const anyResources = fc
  .oneof({ weight: 3, arbitrary: equal }, mixed)
  .filter(({ requests, limits }) =>
    (['cpu', 'memory'] as const).every((name) => {
      const [request, limit] = [nanosOf(requests[name]), nanosOf(limits?.[name])]
      return limit === undefined || (request !== undefined && request <= limit)
    }),
  )
const anyWanted = fc.constantFrom(
  ...['requests.cpu=1m', 'limits.cpu=100m', 'limits.memory=1Gi,requests.memory=16Mi'].map((text) =>
    exchangerResources.parse(text)!,
  ),
  DEFAULT_EXCHANGER_RESOURCES,
)

test('a Guaranteed pod stays Guaranteed, and no other becomes one', () => {
  const someOf = (minLength: number): fc.Arbitrary<Resources[]> =>
    fc.array(anyResources, { minLength, maxLength: 3 })
  fc.assert(
    fc.property(someOf(1), someOf(0), anyWanted, (apps, inits, wanted) => {
      const initContainers = inits.map((resources, at) => ({ name: `i${at}`, resources }))
      const pod = podOf(apps, { initContainers })
      const others = [...pod.spec.containers, ...initContainers]
      const before = qosOf(others)
      expect(isGuaranteed(pod)).toBe(before === 'Guaranteed')
      const sidecar = { name: 'nocreds-exchanger', resources: sidecarResources(wanted, pod) }
      const after = qosOf([...others, sidecar])
      expect(after).toBe(before === 'Guaranteed' ? 'Guaranteed' : 'Burstable')
    }),
    { numRuns: 1000 },
  )
})
