import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AUTHORITY } from '../../contract/certificates.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import { serverNames } from '../ca/own-certificate.ts'
import { Refusal } from '../refusal.ts'
import { requirePermitted, type PolicySettings } from './policy.ts'

const SETTINGS: PolicySettings = {
  trustDomain: 'cluster.local',
  clusterDomain: 'cluster.local',
  authorityNames: ['authority.example.com'],
}

interface Given {
  readonly namespace?: string
  readonly expression?: string
  readonly settings?: Partial<PolicySettings>
}

function decide(name: string, { namespace = 'team-a', expression, settings }: Given = {}): string {
  const identity = { namespace, serviceAccount: 'web', podName: 'web-1', podUid: 'u' }
  const annotations = expression === undefined ? {} : { [PERMITTED_DNS_NAMES]: expression }
  const labels = { [INJECTION_LABEL.key]: INJECTION_LABEL.value }
  try {
    const request = { identity, dnsNames: [name], uris: [] }
    return requirePermitted(
      request,
      { metadata: { labels, annotations } },
      { ...SETTINGS, ...settings },
    )
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
}

const GIVEN = 'spiffe://cluster.local/ns/team-a/sa/web'

describe('names', () => {
  test.each([
    ['web.team-a', undefined, GIVEN],
    ['web.team-a.svc.cluster.local', '', GIVEN],
    ['web-1.web.team-a.svc', undefined, GIVEN], // of the pod itself
    ['web-2.web.team-a.svc', undefined, 'name-not-permitted'],
    ['web.team-b.svc', undefined, 'name-not-permitted'],
    ['web', undefined, 'name-not-permitted'], // a Service of each namespace
    ['web', 'web', GIVEN],
    ['localhost', '.+', 'name-not-permitted'],
    ['kubernetes', '.+', 'name-not-permitted'],
    ['authority.example.com', '.+', 'name-not-permitted'],
    ['shop.example.com', undefined, 'name-not-permitted'],
    ['shop.example.com', '', 'name-not-permitted'],
    ['shop.example.com', 'shop\\.example\\.com|other', GIVEN],
    ['shop.example.com.evil', 'shop\\.example\\.com|other', 'name-not-permitted'],
    ['evil-shop.example.com', 'shop\\.example\\.com|other', 'name-not-permitted'],
    ['shop.example.com', 'a)|(.*', 'name-not-permitted'],
  ])('%s where %j is permitted: %s', (name, expression, expected) => {
    expect(decide(name, expression === undefined ? {} : { expression })).toBe(expected)
  })

  test('follow the domain of the cluster', () => {
    const settings = { clusterDomain: 'prod.example.com' }
    expect(decide('web.team-a.svc.prod.example.com', { settings })).toBe(GIVEN)
    expect(decide('web.team-a.svc.cluster.local', { settings })).toBe('name-not-permitted')
  })

  test('the authority`s own names are never issued, whatever is permitted', () => {
    for (const name of serverNames(SETTINGS)) {
      // Of one label it is the authority's in its own namespace alone.
      const namespaces = name.includes('.')
        ? ['team-a', AUTHORITY.namespace]
        : [AUTHORITY.namespace]
      for (const namespace of namespaces) {
        expect(decide(name, { namespace, expression: '.*' })).toBe('name-not-permitted')
      }
    }
  })

  test('without an expression, no name of another namespace is permitted', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/)
    fc.assert(
      fc.property(fc.array(label, { minLength: 2, maxLength: 5 }), (labels) => {
        const name = labels.join('.')
        const isOwn = labels[1] === 'team-a'
        if (!isOwn) expect(decide(name)).toBe('name-not-permitted')
      }),
    )
  })
})
