import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AUTHORITY } from '../../contract/certificates.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import { Refusal } from '../refusal.ts'
import { requirePermitted } from './policy.ts'

function decide(
  name: string,
  { namespace = 'team-a', expression }: { namespace?: string; expression?: string } = {},
): string {
  const identity = { namespace, serviceAccount: 'web', podName: 'web-1', podUid: 'u' }
  const annotations = expression === undefined ? {} : { [PERMITTED_DNS_NAMES]: expression }
  const labels = { [INJECTION_LABEL.key]: INJECTION_LABEL.value }
  try {
    const wish = { identity, dnsNames: [name], uris: [] }
    return requirePermitted(wish, { metadata: { labels, annotations } }, 'cluster.local')
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
}

const GIVEN = 'spiffe://cluster.local/ns/team-a/sa/web'

describe('names', () => {
  test.each([
    ['web', undefined, GIVEN],
    ['web.team-a.svc.cluster.local', '', GIVEN],
    ['web.team-b.svc', undefined, 'name-not-permitted'],
    ['team-b', 'x', GIVEN], // a Service of the own namespace
    ['shop.example.com', undefined, 'name-not-permitted'],
    ['shop.example.com', '', 'name-not-permitted'],
    ['shop.example.com', 'shop\\.example\\.com|other', GIVEN],
    ['shop.example.com.evil', 'shop\\.example\\.com|other', 'name-not-permitted'],
    ['evil-shop.example.com', 'shop\\.example\\.com|other', 'name-not-permitted'],
    ['shop.example.com', 'a)|(.*', 'name-not-permitted'],
  ])('%s where %j is permitted: %s', (name, expression, expected) => {
    expect(decide(name, expression === undefined ? {} : { expression })).toBe(expected)
  })

  test('the authority own names are given to nobody, whatever is permitted', () => {
    const own = `${AUTHORITY.service}.${AUTHORITY.namespace}`
    for (const name of [own, `${own}.svc`, AUTHORITY.host, `${AUTHORITY.host}.cluster.local`]) {
      for (const namespace of ['team-a', AUTHORITY.namespace]) {
        expect(decide(name, { namespace, expression: '.*' })).toBe('name-not-permitted')
      }
    }
    expect(decide(AUTHORITY.service, { namespace: AUTHORITY.namespace })).toBe('name-not-permitted')
  })

  test('without an expression, no name leads out of the namespace', () => {
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
