/** The ServiceAccounts of webhook and authority, taken over (M4). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PATCH_TYPES, type ApiAnswer } from '../support/apiserver.ts'
import { expectAdmitted, expectStopped, stopperOf } from '../support/attack.ts'
import { closeGround, openGround, type Ground, type User } from '../support/attackers.ts'

const DRY_RUN = 'dryRun=All'

let ground: Ground

beforeAll(async () => {
  ground = await openGround('parts')
}, 90_000)

afterAll(() => closeGround(ground))

const partOf = (name: string): User => ({
  user: `system:serviceaccount:nocreds-system:${name}`,
  groups: [
    'system:serviceaccounts',
    'system:serviceaccounts:nocreds-system',
    'system:authenticated',
  ],
})
const WEBHOOK = partOf('nocreds-webhook')
const AUTHORITY = partOf('nocreds-authority')

describe('M4: the ServiceAccount of the webhook', () => {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/nocreds?${DRY_RUN}`
  const change = (...operations: readonly object[]): Promise<ApiAnswer> =>
    ground.api({
      method: 'PATCH',
      path,
      body: operations,
      contentType: PATCH_TYPES.json,
      as: WEBHOOK,
    })
  const replace = (field: string, value: unknown): object => ({
    op: 'replace',
    path: `/webhooks/0/${field}`,
    value,
  })
  const ALL = { apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], operations: ['*'] }

  test.each<[string, object[]]>([
    ['all objects', [replace('rules', [ALL])]],
    ['all namespaces', [replace('namespaceSelector', {})]],
    ['failures that let pods through', [replace('failurePolicy', 'Ignore')]],
    [
      'a condition',
      [
        {
          op: 'add',
          path: '/webhooks/0/matchConditions',
          value: [{ name: 'x', expression: 'false' }],
        },
      ],
    ],
    ['some objects only', [replace('objectSelector', { matchLabels: { a: 'b' } })]],
    ['no second call', [replace('reinvocationPolicy', 'Never')]],
    ['another policy of matching', [replace('matchPolicy', 'Exact')]],
    ['another deadline', [replace('timeoutSeconds', 30)]],
    ['another Service', [replace('clientConfig/service/name', 'another')]],
    ['another path', [replace('clientConfig/service/path', '/another')]],
    [
      'an address',
      [
        { op: 'remove', path: '/webhooks/0/clientConfig/service' },
        { op: 'add', path: '/webhooks/0/clientConfig/url', value: 'https://attacker.example' },
      ],
    ],
    ['one webhook less', [{ op: 'remove', path: '/webhooks/1' }]],
    [
      'one webhook more',
      [
        { op: 'copy', from: '/webhooks/0', path: '/webhooks/-' },
        { op: 'replace', path: '/webhooks/2/name', value: 'mine.nocreds.dev' },
      ],
    ],
    ['a label', [{ op: 'add', path: '/metadata/labels/mine', value: 'x' }]],
    [
      'another owner',
      [
        {
          op: 'add',
          path: '/metadata/ownerReferences',
          value: [{ apiVersion: 'v1', kind: 'Namespace', name: 'default', uid: 'x' }],
        },
      ],
    ],
  ])('refused: %s', async (_what, operations) => {
    const answer = await change(...operations)
    expect({ by: stopperOf(answer), message: answer.message }).toMatchObject({
      by: expect.stringMatching(/^nocreds-control-parts-/),
    })
  })
  test('refused: any other configuration', async () => {
    const other = path.replace('/nocreds?', '/another?')
    const answer = await ground.api({
      method: 'PATCH',
      path: other,
      body: [],
      contentType: PATCH_TYPES.json,
      as: WEBHOOK,
    })
    expectStopped(answer, 'RBAC', 'cannot patch')
  })
  test('admitted: its caBundle', async () => {
    const caBundle = Buffer.from('-----BEGIN CERTIFICATE-----').toString('base64')
    const { webhooks } = await ground.kubectl.get<{
      readonly webhooks: readonly { readonly clientConfig: { readonly caBundle: string } }[]
    }>(['mutatingwebhookconfiguration', 'nocreds'])
    expect(caBundle).not.toBe('')
    expectAdmitted(
      await change(replace('clientConfig/caBundle', webhooks[1]?.clientConfig.caBundle)),
    )
  })
})

describe('M4: the ServiceAccount of the webhook, on Namespaces', () => {
  const change = (...operations: readonly object[]): Promise<ApiAnswer> =>
    ground.api({
      method: 'PATCH',
      path: `/api/v1/namespaces/${ground.ns('team-a')}?${DRY_RUN}`,
      body: operations,
      contentType: PATCH_TYPES.json,
      as: WEBHOOK,
    })

  test.each<[string, object]>([
    [
      'every role',
      {
        op: 'replace',
        path: '/metadata/annotations/nocreds.dev~1permitted-roles',
        value: '.+',
      },
    ],
    [
      'the token for apps',
      {
        op: 'add',
        path: '/metadata/annotations/nocreds.dev~1permitted-deliveries',
        value: 'web-identity',
      },
    ],
    [
      'privileged pods',
      {
        op: 'add',
        path: '/metadata/labels/pod-security.kubernetes.io~1enforce',
        value: 'privileged',
      },
    ],
    ['a label of its own', { op: 'add', path: '/metadata/labels/mine', value: 'x' }],
    ['a finalizer', { op: 'add', path: '/metadata/finalizers', value: ['attacker.example/x'] }],
  ])('refused: %s', async (_what, operation) => {
    expectStopped(
      await change(operation),
      'nocreds-control-parts-namespaces',
      'changes nothing of a Namespace but the label',
    )
  })
  test('refused: deletion', async () => {
    const path = `/api/v1/namespaces/${ground.ns('team-a')}?${DRY_RUN}`
    const answer = await ground.api({ method: 'DELETE', path, as: WEBHOOK })
    expectStopped(answer, 'RBAC', 'cannot delete')
  })
  test('admitted: the label as its annotations demand it', async () => {
    const path = '/metadata/labels/nocreds.dev~1injection'
    expectAdmitted(await change({ op: 'add', path, value: 'enabled' }))
  })
})

describe('M4: the ServiceAccount of the authority', () => {
  const configMap = (name: string | undefined, more: object = {}): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      ...(name === undefined ? { generateName: 'nocreds-trust-bundle' } : { name }),
      ...more,
    },
    data: { 'ca.crt': 'x' },
  })
  const create = (namespace: string, body: object): Promise<ApiAnswer> =>
    ground.api({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/configmaps?${DRY_RUN}`,
      body,
      as: AUTHORITY,
    })

  test.each<[string, string | undefined]>([
    ['kube-system', 'aws-auth'],
    ['kube-system', 'extension-apiserver-authentication'],
    ['kube-system', 'nocreds-trust-bundle'],
    ['kube-public', 'cluster-info'],
    ['nocreds-system', 'nocreds-settings'],
    ['default', undefined],
  ])('refused in %s: %s', async (namespace, name) => {
    const answer = await create(namespace, configMap(name))
    expect({ by: stopperOf(answer), message: answer.message }).toMatchObject({
      by: expect.stringMatching(/^nocreds-(?:control-parts-|trust-bundles$)/),
    })
  })
  test('refused: the bundle in a namespace that is not enabled', async () => {
    const answer = await create(ground.ns('tobe'), configMap('nocreds-trust-bundle'))
    expect(stopperOf(answer)).toMatch(/^nocreds-(?:control-parts-|trust-bundles$)/)
  })
  test('admitted: the bundle in an enabled one', async () => {
    // It is there already, which comes after admission.
    const answer = await create(ground.ns('team-a'), configMap('nocreds-trust-bundle'))
    expect([201, 409]).toContain(answer.status)
  })
})
