import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AUTHORITY } from '../../contract/certificates.ts'
import { fillInPod } from '../../contract/dns-names.ts'
import { nameDecision, type NameContext } from './dns-name-decision.ts'

const TEAM_A: NameContext = {
  namespace: 'team-a',
  podName: 'web-0',
  expression: undefined,
  clusterDomain: 'cluster.local',
  authorityNames: [],
}

function decide(name: string, changes: Partial<NameContext> = {}): string {
  return nameDecision(name, { ...TEAM_A, ...changes })
}

describe('own names', () => {
  test.each([
    'web.team-a',
    'web.team-a.svc',
    'web.team-a.svc.cluster.local',
    'kubernetes.team-a.svc',
    'nocreds-authority.team-a.svc',
    'web-0.web.team-a.svc',
    'web-0.web.team-a.svc.cluster.local',
    '{pod}.web.team-a.svc',
  ])('%s', (name) => {
    expect(decide(name)).toBe('own')
  })

  test.each([
    'web',
    'team-a',
    'web.team-b',
    'web.team-b.svc',
    'team-a.svc',
    'team-a.svc.cluster.local',
    'web.team-a.svc.cluster',
    'web.team-a.svc.other.domain',
    'web.team-a.svc.cluster.local.example.com',
    'web-0.web.team-a', // the cluster's DNS has no such form for a pod
    'web-1.web.team-a.svc',
    'web-0.web.team-b.svc',
    'a.web-0.web.team-a.svc',
    '10.team-a',
    '10.0.0.1',
    'web-0.1.team-a.svc',
    '',
    'Web.team-a',
    '*.team-a.svc',
    '{pod}.team-b.svc',
    'web.{pod}.team-a.svc',
  ])('not %j', (name) => {
    expect(decide(name)).toBe('not-permitted')
  })

  test('below another cluster domain', () => {
    const clusterDomain = 'prod.example.com'
    expect(decide('web.team-a.svc.prod.example.com', { clusterDomain })).toBe('own')
    expect(decide('web.team-a.svc.cluster.local', { clusterDomain })).toBe('not-permitted')
    const kubernetes = 'kubernetes.default.svc.prod.example.com'
    expect(decide(kubernetes, { clusterDomain, expression: '.+' })).toBe('reserved')
  })

  test('a pod whose name cannot be a label has no name of its own', () => {
    expect(decide('{pod}.web.team-a.svc', { podName: 'a.b' })).toBe('not-permitted')
    expect(decide('{pod}.web.team-a.svc', { podName: 'a'.repeat(64) })).toBe('not-permitted')
  })
})

describe('permitted names', () => {
  test.each([
    ['shop.example.com', 'permitted'],
    ['other', 'permitted'],
    ['shop.example.com.evil', 'not-permitted'],
    ['evil-shop.example.com', 'not-permitted'],
  ])('%s: %s', (name, decision) => {
    expect(decide(name, { expression: 'shop\\.example\\.com|other' })).toBe(decision)
  })

  test.each([undefined, '', ' ', 'a)|(.*', '('])('none by the expression %j', (expression) => {
    expect(decide('shop.example.com', { expression })).toBe('not-permitted')
  })

  test('the pod in the first label is judged by its name', () => {
    const expression = '[a-z]+-[0-9]\\.example\\.com'
    expect(decide('{pod}.example.com', { expression })).toBe('permitted')
    expect(decide('{pod}.example.com', { expression, podName: 'other' })).toBe('not-permitted')
    expect(decide('{pod}.example.com', { expression: '.+', podName: undefined })).toBe(
      'not-permitted',
    )
  })
})

describe('reserved names', () => {
  const ofService = `${AUTHORITY.service}.${AUTHORITY.namespace}`

  test.each([
    'localhost',
    'a.localhost',
    'a.b.localhost',
    '{pod}.localhost',
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    ofService,
    AUTHORITY.host,
    `${AUTHORITY.host}.cluster.local`,
    `web-0.${AUTHORITY.host}`,
    `a.b.${ofService}.svc.cluster.local`,
    'certificates.example.com',
  ])('%s', (name) => {
    const everything = { expression: '.*', authorityNames: ['certificates.example.com'] }
    for (const namespace of ['team-a', 'default', AUTHORITY.namespace]) {
      for (const podName of ['web-0', undefined]) {
        expect(decide(name, { ...everything, namespace, podName })).toBe('reserved')
      }
    }
  })

  test('the short name of the authority, in its own namespace', () => {
    const expression = '.*'
    const { service, namespace } = AUTHORITY
    expect(decide(service, { expression, namespace })).toBe('reserved')
    expect(decide(service, { expression })).toBe('permitted')
  })

  test.each(['mylocalhost', 'localhost.team-a', 'kubernetes.default.svc.cluster'])(
    'not %s',
    (name) => {
      expect(decide(name, { expression: '.*' })).not.toBe('reserved')
    },
  )
})

const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}[a-z0-9]$/)
const piece = fc.oneof(
  label,
  fc.constantFrom('team-a', 'team-b', 'svc', 'cluster', 'local', 'web', 'web-0', 'default'),
  fc.constantFrom('kubernetes', 'localhost', AUTHORITY.service, AUTHORITY.namespace),
)
const free = fc
  .tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 7 }))
  .map(([ofPod, labels]) => (ofPod ? ['{pod}', ...labels] : labels).join('.'))
const formed = fc
  .tuple(
    fc.constantFrom('', '{pod}.', 'web-0.', 'a.'),
    piece,
    piece,
    fc.constantFrom('', '.svc', '.svc.cluster.local', '.svc.k8s.example.com'),
  )
  .map(([pod, service, namespace, rest]) => `${pod}${service}.${namespace}${rest}`)
const anyName = fc.oneof(free, formed)
const anyExpression = fc.constantFrom(undefined, '', '.*', '[a-z.]+', 'web|web-0\\..+', '(')
const anyContext = fc.record({
  namespace: fc.constantFrom('team-a', 'team-b', 'default', AUTHORITY.namespace),
  podName: fc.oneof(fc.constant('web-0'), label),
  expression: anyExpression,
  clusterDomain: fc.constantFrom('cluster.local', 'k8s.example.com'),
  authorityNames: fc.constantFrom([], ['web.example.com']),
})

describe('laws', () => {
  test('the webhook, before {pod} is filled in, decides the same as the authority afterwards', () => {
    fc.assert(
      fc.property(anyName, anyContext, (name, context) => {
        const asAuthority = nameDecision(fillInPod(name, context.podName), context)
        expect(nameDecision(name, context)).toBe(asAuthority)
      }),
      { numRuns: 2000 },
    )
  })

  test('what the webhook permits while the pod has no name, the authority issues to any pod', () => {
    fc.assert(
      fc.property(anyName, anyContext, (name, context) => {
        const asWebhook = nameDecision(name, { ...context, podName: undefined })
        fc.pre(asWebhook === 'own' || asWebhook === 'permitted')
        const asAuthority = nameDecision(fillInPod(name, context.podName), context)
        expect(['own', 'permitted']).toContain(asAuthority)
      }),
      { numRuns: 2000 },
    )
  })

  test('no name is the own one of two namespaces', () => {
    fc.assert(
      fc.property(anyName, anyContext, label, (name, context, namespace) => {
        fc.pre(namespace !== context.namespace)
        const decisions = [context, { ...context, namespace }].map((one) => nameDecision(name, one))
        expect(decisions).not.toEqual(['own', 'own'])
      }),
      { numRuns: 2000 },
    )
  })

  test('an expression never permits a reserved name and never forbids an own one', () => {
    fc.assert(
      fc.property(anyName, anyContext, (name, context) => {
        const without = nameDecision(name, { ...context, expression: undefined })
        const withIt = nameDecision(name, context)
        expect(withIt === 'permitted' ? 'not-permitted' : withIt).toBe(without)
      }),
      { numRuns: 2000 },
    )
  })
})
