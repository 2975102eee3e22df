import { describe, expect, test } from '@jest/globals'
import { POD, reviewed, TOKEN, tokenLasting } from '../../test/fakes/authority-cluster.ts'
import { Refusal } from '../refusal.ts'
import { identityFrom, requireRunning } from './identity.ts'

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

test('the identity of a pod is only from the reviewed token', () => {
  expect(identityFrom(statusOf(reviewed()), TOKEN)).toEqual(IDENTITY)
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
    expect(codeOf(() => identityFrom(statusOf(review as object), TOKEN))).toBe('token-invalid')
  })
})

describe('a token that the apiserver accepts', () => {
  const decided = (token: string): string => codeOf(() => identityFrom(statusOf(reviewed()), token))
  const claims = (text: string): string => `a.${Buffer.from(text).toString('base64url')}.b`

  test.each([
    ['taken', 'of a kubelet', tokenLasting(3600)],
    ['taken', 'of an apiserver that gives less', tokenLasting(600)],
    ['taken', 'rounded up', tokenLasting(3660)],
    ['token-lifetime-too-long', 'of a second more', tokenLasting(3661)],
    ['token-lifetime-too-long', 'of ten years', tokenLasting(87_600 * 3600)],
    ['token-invalid', 'without iat', claims('{"exp":1}')],
    ['token-invalid', 'without exp', claims('{"iat":1}')],
    ['token-invalid', 'with an exp in words', claims('{"iat":1,"exp":"2"}')],
    ['token-invalid', 'with an exp that is not a number', claims('{"iat":1,"exp":1e999}')],
    ['token-invalid', 'that is not a JWT', 'opaque'],
    ['token-invalid', 'whose claims are no object', claims('null')],
  ])('%s: %s', (expected, _, token) => {
    expect(decided(token)).toBe(expected)
  })
})

describe('a pod', () => {
  const pod = (changes: object): object => ({
    metadata: { uid: POD.uid },
    spec: { serviceAccountName: POD.serviceAccount, nodeName: POD.node },
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
    [
      'pod-not-scheduled',
      'that is on no node',
      pod({ spec: { serviceAccountName: POD.serviceAccount }, status: { phase: 'Pending' } }),
    ],
    [
      'pod-not-scheduled',
      'with an empty node',
      pod({ spec: { serviceAccountName: POD.serviceAccount, nodeName: '' } }),
    ],
    ['pod-gone', 'that has succeeded', pod({ status: { phase: 'Succeeded' } })],
    ['pod-gone', 'that has failed', pod({ status: { phase: 'Failed' } })],
  ])('%s: %s', (expected, _, found) => {
    expect(
      codeOf(() => {
        requireRunning(IDENTITY, found)
      }),
    ).toBe(expected)
  })

  test('is on the node whose kubelet asks', () => {
    const asked = (nodeName: string): string =>
      codeOf(() => {
        requireRunning({ ...IDENTITY, nodeName }, pod({}))
      })
    expect(asked(POD.node)).toBe('taken')
    expect(asked('node-2')).toBe('node-mismatch')
  })
})
