import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { applyPatch } from 'rfc6902'
import { MAX_ROLES } from '../../../contract/container-roles.ts'
import { DELIVERY_NAMES } from '../../../contract/delivery.ts'
import { DEFAULT_EXCHANGER_RESOURCES } from '../../../contract/exchanger-resources.ts'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import type { WantedContainers, WantedCredentials, WantedTarget } from '../../../contract/wanted.ts'
import { anyPod } from '../../../test/fakes/arbitrary-pod.ts'
import { WANTED_ALONE } from '../../../test/fakes/role-alone.ts'
import { denyUnservable } from '../checks/deny-unservable.ts'
import { diff } from '../json-patch.ts'
import { containersOf, type Container, type Pod } from '../pod.ts'
import { inject } from './inject.ts'
import { TRUST_BUNDLE_SOURCES, type Injection } from './injection.ts'

const TARGET: WantedTarget = {
  role: parseRoleArn('arn:aws:iam::444455556666:role/data')!,
  externalId: undefined,
  tags: [],
}
const TAGS = [
  { key: 'namespace', value: '{namespace}' },
  { key: 'pod', value: '{serviceaccount}/{pod}' },
]

const anyInjection: fc.Arbitrary<Injection> = fc
  .record({
    delivery: fc.constantFrom(...DELIVERY_NAMES, undefined),
    dnsNames: fc.constantFrom(undefined, [], ['web.team-a', 'www.example.com']),
    certificateSource: fc.constantFrom('authority' as const, 'pod-certificate' as const),
    trustBundle: fc.constantFrom(...TRUST_BUNDLE_SOURCES),
    region: fc.constantFrom(undefined, 'eu-central-1'),
    wanted: fc.constantFrom('sidecar' as const, 'driver' as const),
    skipContainers: fc.constantFrom<string[][]>([], ['a'], ['b', 'c']),
    exchangerUser: fc.constantFrom('platform' as const, 65532),
    target: fc.constantFrom(undefined, TARGET, { ...TARGET, externalId: 'id', tags: TAGS }),
    hasDefaultTags: fc.boolean(),
  })
  .filter(({ delivery, dnsNames }) => delivery !== undefined || dnsNames !== undefined)
  .map(
    ({
      delivery,
      dnsNames,
      region,
      wanted,
      certificateSource,
      trustBundle,
      skipContainers,
      exchangerUser,
      target,
      hasDefaultTags,
    }) => {
      const credentials: WantedCredentials | undefined = delivery && {
        role: parseRoleArn('arn:aws:iam::111122223333:role/app')!,
        sessionDurationSeconds: 3600,
        sessionName: '{namespace}.{serviceaccount}',
        audience: 'sts.amazonaws.com',
        tokenExpirationSeconds: 3600,
        delivery,
        region,
        ...WANTED_ALONE,
        ...(delivery === 'web-identity' ? {} : { target }),
      }
      const isDriver = wanted === 'driver' && (delivery ?? 'process') === 'process'
      const certificate = dnsNames && { durationSeconds: 3600, dnsNames }
      return {
        request: {
          credentials,
          certificate,
          exchanger: isDriver ? ('driver' as const) : ('sidecar' as const),
          skipContainers,
          exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
        },
        certificateSource,
        trustBundle,
        authorityUrl: 'https://nocreds-authority.nocreds-system.svc',
        namespace: 'team-a',
        serviceAccount: 'app',
        exchangerImage: 'nocreds/exchanger:0.1.0',
        exchangerImages: [],
        exchangerImagePullPolicy: 'IfNotPresent',
        exchangerUser,
        meshProxies: ['a', 'istio-proxy'],
        stsEndpoint: undefined,
        stsProxy: undefined,
        stsNoProxy: undefined,
        stsCa: undefined,
        clusterArn: undefined,
        clusterName: 'one',
        hasDefaultTags,
      }
    },
  )

/** The injection with a role of its own for each container, or for each but the first, if that has the one of all others. */
function withContainers(
  pod: Pod,
  injection: Injection,
  others: WantedContainers['others'],
): Injection {
  const { request } = injection
  const { credentials } = request
  const before = others === 'slot-0' ? 1 : 0
  const names = containersOf(pod)
    .map(({ name }) => name)
    .slice(before, MAX_ROLES)
  if (credentials === undefined || credentials.delivery === 'web-identity' || names.length === 0)
    return injection
  const containers: WantedContainers = {
    moreRoles: names
      .slice(1 - before)
      .map((name) => parseRoleArn(`arn:aws:iam::111122223333:role/of-${name}`)!),
    slots: new Map(names.map((name, index) => [name, index + before])),
    others,
  }
  const wanted = { ...credentials, target: undefined, containers }
  return { ...injection, request: { ...request, skipContainers: [], credentials: wanted } }
}

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** A webhook of somebody else that does one thing to every container. */
const toEach =
  (change: (container: Container) => object): ((pod: Pod) => Pod) =>
  ({ spec, ...pod }) => {
    const changed = (one: Container): Container => ({ ...one, ...change(one) })
    const initContainers = spec.initContainers?.map(changed)
    const containers = spec.containers.map(changed)
    return { ...pod, spec: { ...spec, initContainers, containers } }
  }
/** Adds to a list what is not there yet, at its front. */
const adding = <T extends object>(
  list: readonly T[] | null | undefined,
  one: T,
  key: keyof T,
): readonly T[] =>
  list?.some((other) => other[key] === one[key]) === true ? list : [one, ...(list ?? [])]
const variable = (name: string, value = 'EVIL'): ((pod: Pod) => Pod) =>
  toEach(({ env }) => ({ env: adding(env, { name, value }, 'name') }))
const mount = (mountPath: string, name = 'EVIL'): ((pod: Pod) => Pod) =>
  toEach(({ volumeMounts }) => ({
    volumeMounts: adding(volumeMounts, { name, mountPath }, 'mountPath'),
  }))

const OTHERS = [
  variable('CORP_SITE', 'muc'),
  mount('/etc/ssl/certs', 'certificates'),
  ...['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'LD_PRELOAD', 'PATH', 'NOCREDS_X'].map((name) =>
    variable(name),
  ),
  ...['/usr', '/EVIL/../nocreds'].map((path) => mount(path)),
  toEach(({ image }) => ({ image: `EVIL/${(image ?? '').replace('EVIL/', '')}` })),
  toEach(() => ({ securityContext: { runAsUser: 0, EVIL: true } })),
  toEach(() => ({ restartPolicy: undefined })),
  toEach(() => ({ args: ['EVIL'], startupProbe: { exec: { command: ['EVIL'] } } })),
  toEach(() => ({ resources: { limits: { cpu: '1', memory: '1Gi' } } })),
  ({ spec, ...pod }: Pod): Pod => ({
    ...pod,
    spec: {
      ...spec,
      initContainers: [
        ...(spec.initContainers ?? []).filter(({ name }) => name !== 'istio-proxy'),
        { name: 'istio-proxy', restartPolicy: 'Always' },
      ],
    },
  }),
]

/** Every leaf of a value, as `path=json`. */
function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [`${path}=${JSON.stringify(value)}`]
  const inner = Object.entries(value).flatMap(([key, one]) => leaves(one, `${path}/${key}`))
  return inner.length > 0 ? inner : [`${path}=${JSON.stringify(value)}`]
}

describe('inject', () => {
  test('is idempotent: a second pass returns the same pod, by reference', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const once = inject(pod, injection)
        expect(inject(once, injection)).toBe(once)
      }),
    )
  })

  test('a pod with one role is the same, whatever is set for target roles, and says nothing of them', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        fc.pre(injection.request.credentials?.target === undefined)
        const injected = inject(pod, injection)
        const arn = 'arn:aws:eks:eu-central-1:111122223333:cluster/one'
        for (const hasDefaultTags of [true, false])
          expect(inject(pod, { ...injection, hasDefaultTags, clusterArn: arn })).toEqual(injected)
        const said = JSON.stringify(diff(pod, injected))
        expect(said).not.toMatch(
          /injected-roles|target-role|-tags|NOCREDS_(TARGET|SESSION_TAGS|POD_UID|CLUSTER|EXTERNAL)/,
        )
      }),
    )
  })

  test('a pod with a target role tells its exchanger all of it, with all filled in but the name of the pod', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const target = injection.request.credentials?.target
        if (target === undefined) return
        const { metadata, spec } = inject(pod, injection)
        expect(metadata.annotations?.['nocreds.dev/injected-roles']).toBe(
          'arn:aws:iam::111122223333:role/app arn:aws:iam::444455556666:role/data',
        )
        const exchanger = spec.initContainers?.find(({ name }) => name === 'nocreds-exchanger')
        const attributes = spec.volumes?.find(({ name }) => name === 'nocreds-driver')?.csi
        const said = JSON.stringify(exchanger?.env ?? attributes)
        expect(said.includes('namespace=team-a,pod=app/{pod}')).toBe(target.tags.length === 2)
        const tagged = exchanger === undefined ? '"default-session-tags":"true"' : 'metadata.uid'
        expect(said.includes(tagged)).toBe(injection.hasDefaultTags)
      }),
    )
  })

  test('returns a pod that passes the checks', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        expect(denyUnservable(inject(pod, injection), injection)).toBeUndefined()
      }),
    )
  })

  test('a replica that takes the trust bundle from elsewhere leaves it as it is', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, (pod, injection) => {
        const injected = inject(pod, injection)
        for (const trustBundle of TRUST_BUNDLE_SOURCES) {
          const other = { ...injection, trustBundle }
          expect(denyUnservable(injected, other)).toBeUndefined()
          expect(inject(injected, other)).toBe(injected)
        }
      }),
    )
  })

  test('beside a webhook that changes every container it converges, and the pod is never denied', () => {
    fc.assert(
      fc.property(anyPod, anyInjection, fc.constantFrom(...OTHERS), (pod, injection, other) => {
        const turn = (before: Pod): Pod => inject(copy(other(before)), injection)
        const once = turn(inject(pod, injection))
        expect(copy(turn(once))).toEqual(copy(once))
        expect(denyUnservable(copy(other(once)), injection)).toBeUndefined()
        const sidecar = once.spec.initContainers?.find(({ name }) => name === 'nocreds-exchanger')
        expect(JSON.stringify(sidecar ?? '')).not.toContain('EVIL')
      }),
    )
  })

  test('with a role for each container it is idempotent, and converges beside other webhooks', () => {
    const anyOthers = fc.constantFrom('slot-0' as const, 'nothing' as const)
    const property = fc.property(
      anyPod,
      anyInjection,
      anyOthers,
      fc.constantFrom(...OTHERS),
      (pod, ofAll, others, other) => {
        const injection = withContainers(pod, ofAll, others)
        const once = inject(pod, injection)
        expect(inject(once, injection)).toBe(once)
        expect(denyUnservable(once, injection)).toBeUndefined()
        const turn = (before: Pod): Pod => inject(copy(other(before)), injection)
        const twice = turn(once)
        expect(copy(turn(twice))).toEqual(copy(twice))
        expect(denyUnservable(copy(other(twice)), injection)).toBeUndefined()
        const sidecar = twice.spec.initContainers?.find(({ name }) => name === 'nocreds-exchanger')
        expect(JSON.stringify(sidecar ?? '')).not.toContain('EVIL')
      },
    )
    fc.assert(property)
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

  test('only adds: every existing field is kept, including unknown ones', () => {
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
