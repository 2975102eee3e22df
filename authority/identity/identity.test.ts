import { describe, expect, test } from '@jest/globals'
import { POD, reviewed } from '../../testbed/authority-cluster.ts'
import { Refusal } from '../refusal.ts'
import { identityFrom, requireAlive } from './identity.ts'

const IDENTITY = {
  namespace: 'team-a',
  serviceAccount: POD.serviceAccount,
  podName: POD.name,
  podUid: POD.uid,
}
const EXTRA = 'authentication.kubernetes.io'

function statusOf(review: object): unknown {
  return (review as { status: unknown }).status
}

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
  return 'taken'
}

test('who a pod is comes from the reviewed token alone', () => {
  expect(identityFrom(statusOf(reviewed()))).toEqual(IDENTITY)
})

describe('a token is refused', () => {
  test.each<[string, unknown]>([
    ['that is expired, of another cluster, or garbage', reviewed({ authenticated: false })],
    ['that is only said to be good', reviewed({ authenticated: 'true' })],
    ['of the STS audience', reviewed({ audiences: ['sts.amazonaws.com'] })],
    [
      'without audiences, as an apiserver without audience support gives it',
      reviewed({ audiences: undefined }),
    ],
    ['of a user', reviewed({}, { username: 'admin' })],
    ['of a node', reviewed({}, { username: 'system:node:a' })],
    ['with a colon too many', reviewed({}, { username: 'system:serviceaccount:a:b:c' })],
    ['that is not bound to a pod', reviewed({}, { extra: {} })],
    ['without the uid of its pod', reviewed({}, { extra: { [`${EXTRA}/pod-name`]: ['web-1'] } })],
    [
      'with two pods',
      reviewed({}, { extra: { [`${EXTRA}/pod-name`]: ['a', 'b'], [`${EXTRA}/pod-uid`]: ['u'] } }),
    ],
    ['without a user', reviewed({ user: undefined })],
    ['without a status', {}],
  ])('%s', (_, review) => {
    expect(codeOf(() => identityFrom(statusOf(review as object)))).toBe('token-invalid')
  })
})

describe('a pod', () => {
  const pod = (changes: object): object => ({
    metadata: { uid: POD.uid },
    spec: { serviceAccountName: POD.serviceAccount },
    status: { phase: 'Running' },
    ...changes,
  })

  test.each<[string, string, object | undefined]>([
    ['taken', 'that runs', pod({})],
    ['taken', 'that is pending', pod({ status: { phase: 'Pending' } })],
    ['pod-gone', 'that is not there', undefined],
    ['pod-gone', 'of another uid', pod({ metadata: { uid: 'other' } })],
    [
      'pod-gone',
      'that is being deleted',
      pod({ metadata: { uid: POD.uid, deletionTimestamp: 'x' } }),
    ],
    ['pod-gone', 'of another ServiceAccount', pod({ spec: { serviceAccountName: 'other' } })],
    ['pod-gone', 'that has failed', pod({ status: { phase: 'Failed' } })],
  ])('%s: %s', (expected, _, found) => {
    expect(
      codeOf(() => {
        requireAlive(IDENTITY, found)
      }),
    ).toBe(expected)
  })
})
