/**
 * People with rare rights: Bindings (L1), statuses of Namespaces (L7), requests for certificates as if by a kubelet (08).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { csrDer } from '../../test/fakes/csr.ts'
import { PATCH_TYPES, type ApiAnswer } from '../support/apiserver.ts'
import { expectAdmitted, expectStopped, podOf, send } from '../support/attack.ts'
import {
  closeGround,
  DEV,
  openGround,
  OWNER,
  type Ground,
  type Place,
  type User,
} from '../support/attackers.ts'

const DRY_RUN = 'dryRun=All'

let ground: Ground

beforeAll(async () => {
  ground = await openGround('parts')
}, 90_000)

afterAll(() => closeGround(ground))

describe('L1: Bindings carry annotations to the pod', () => {
  const binding = (annotations: object): object => ({
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'unbound', annotations },
    target: { apiVersion: 'v1', kind: 'Node', name: 'no-such-node' },
  })
  beforeAll(async () => {
    const body = { ...podOf(), metadata: { name: 'unbound' } }
    expectAdmitted(await send(ground, { place: 'team-a', resource: 'pods', body, isReal: true }))
  })

  test.each(['pods/unbound/binding', 'bindings'])('refused by %s', async (resource) => {
    for (const [key, value] of [
      ['injected-role', ground.role],
      ['delivery', 'web-identity'],
      ['inject', 'false'],
    ]) {
      const body = binding({ [`nocreds.dev/${key}`]: value })
      const answer = await send(ground, { as: OWNER, place: 'team-a', resource, body })
      expectStopped(answer, 'nocreds-bindings', 'nocreds.dev/')
    }
  })
  test.each(['pods/unbound/binding', 'bindings'])(
    'admitted by %s: other annotations',
    async (resource) => {
      for (const annotations of [{}, { 'scheduler.example/score': '1' }])
        expectAdmitted(
          await send(ground, { as: OWNER, place: 'team-a', resource, body: binding(annotations) }),
        )
    },
  )
})

describe('L7: a Namespace by its subresources', () => {
  const user: User = { user: 'status-writer', groups: ['system:authenticated'] }
  const named = (): string => `${ground.prefix}-status`
  const path = (subresource: string): string =>
    `/api/v1/namespaces/${ground.ns('tobe')}/${subresource}?${DRY_RUN}`

  beforeAll(async () => {
    const rbac = { apiGroup: 'rbac.authorization.k8s.io' }
    const metadata = { name: named() }
    const resources = ['namespaces/status', 'namespaces/finalize']
    const rules = [{ apiGroups: [''], resources, verbs: ['update', 'patch'] }]
    const subjects = [{ ...rbac, kind: 'User', name: user.user }]
    const roleRef = { ...rbac, kind: 'ClusterRole', name: named() }
    const apiVersion = `${rbac.apiGroup}/v1`
    await ground.kubectl.apply(
      { apiVersion, kind: 'ClusterRole', metadata, rules },
      { apiVersion, kind: 'ClusterRoleBinding', metadata, subjects, roleRef },
    )
  })
  afterAll(() => ground.kubectl(['delete', 'clusterrole,clusterrolebinding', named()]))

  const MARKS = [
    { annotations: { 'nocreds.dev/permitted-roles': '.*' } },
    { annotations: { 'nocreds.dev/permitted-deliveries': 'web-identity' } },
    { annotations: { 'nocreds.dev/permitted-dns-names': '.+' } },
    { labels: { 'nocreds.dev/injection': 'enabled' } },
  ]
  test.each(MARKS)('refused: %j', async (metadata) => {
    const patched = { method: 'PATCH', path: path('status'), as: user } as const
    const merged = await ground.api({
      ...patched,
      body: { metadata },
      contentType: PATCH_TYPES.merge,
    })
    expectStopped(merged, 'nocreds-namespaces', 'nocreds.dev/')
    const body = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: ground.ns('tobe'), ...metadata },
    }
    const query = '&fieldManager=attacker&force=true'
    const applied = await ground.api({
      ...patched,
      path: path('status') + query,
      body,
      contentType: PATCH_TYPES.apply,
    })
    expectStopped(applied, 'nocreds-namespaces', 'nocreds.dev/')
    const present = await ground.api({ method: 'GET', path: path('').replace('/?', '?') })
    const before = present.body as { metadata: { labels: object; annotations?: object } }
    const labels = { ...before.metadata.labels, ...('labels' in metadata && metadata.labels) }
    const annotations = { ...('annotations' in metadata && metadata.annotations) }
    const whole = { ...before, metadata: { ...before.metadata, labels, annotations } }
    const put = await ground.api({ method: 'PUT', path: path('finalize'), body: whole, as: user })
    expectStopped(put, 'nocreds-namespaces', 'nocreds.dev/')
  })
  test('admitted: what a status is for', async () => {
    const condition = {
      type: 'Mine',
      status: 'True',
      reason: 'x',
      message: 'x',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    }
    const body = { metadata: { annotations: { mine: 'x' } }, status: { conditions: [condition] } }
    const asked = {
      method: 'PATCH',
      path: path('status'),
      body,
      contentType: PATCH_TYPES.merge,
      as: user,
    } as const
    expectAdmitted(await ground.api(asked))
  })
})

describe('a Role of * covers the Namespace itself', () => {
  const path = (): string => `/api/v1/namespaces/${ground.ns('team-a')}?${DRY_RUN}`
  const patch = (metadata: object, as: User): Promise<ApiAnswer> =>
    ground.api({
      method: 'PATCH',
      path: path(),
      body: { metadata },
      contentType: PATCH_TYPES.merge,
      as,
    })

  test.each([
    { 'nocreds.dev/permitted-roles': '.+' },
    { 'nocreds.dev/permitted-roles': null },
    { 'nocreds.dev/permitted-deliveries': 'web-identity' },
    { 'nocreds.dev/permitted-dns-names': '.+' },
    { 'nocreds.dev/permitted-session-names': '.+' },
  ])('refused: its owner permits %j', async (annotations) => {
    expectStopped(await patch({ annotations }, OWNER), 'nocreds-namespaces', 'nocreds.dev/')
  })
  test('admitted: its owner changes something else', async () => {
    expectAdmitted(await patch({ annotations: { mine: 'x' }, labels: { mine: 'x' } }, OWNER))
  })
  test('admitted: one whose ClusterRole names this very Namespace', async () => {
    const user: User = { user: 'platform', groups: ['system:authenticated'] }
    const rbac = { apiGroup: 'rbac.authorization.k8s.io' }
    const apiVersion = `${rbac.apiGroup}/v1`
    const metadata = { name: `${ground.prefix}-platform` }
    const resourceNames = [ground.ns('team-a')]
    const rules = [
      {
        apiGroups: [''],
        resources: ['namespaces'],
        resourceNames,
        verbs: ['get', 'patch', 'update'],
      },
    ]
    const subjects = [{ ...rbac, kind: 'User', name: user.user }]
    const roleRef = { ...rbac, kind: 'ClusterRole', name: metadata.name }
    await ground.kubectl.apply(
      { apiVersion, kind: 'ClusterRole', metadata, rules },
      { apiVersion, kind: 'ClusterRoleBinding', metadata, subjects, roleRef },
    )
    try {
      const annotations = { 'nocreds.dev/permitted-deliveries': 'endpoint' }
      expectAdmitted(await patch({ annotations }, user))
    } finally {
      await ground.kubectl(['delete', 'clusterrole,clusterrolebinding', metadata.name])
    }
  })
})

describe('08: requests for certificates as if by a kubelet', () => {
  const request = (signerName: string, metadata: object): object => ({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'PodCertificateRequest',
    metadata,
    spec: {
      signerName,
      podName: 'unbound',
      podUID: 'uid',
      serviceAccountName: 'victim',
      serviceAccountUID: 'uid',
      nodeName: 'node',
      nodeUID: 'uid',
      maxExpirationSeconds: 86_400,
      stubPKCS10Request: csrDer().toString('base64'),
    },
  })
  const create = (
    as: User,
    body: object,
    place: Place = 'certs-only',
    api = 'certificates.k8s.io/v1',
  ): Promise<ApiAnswer> =>
    send(ground, { as, api, place, resource: 'podcertificaterequests', body })
  const SIGNER = 'nocreds.dev/workload'
  const POLICY = 'nocreds-pod-certificate-requests'

  test('refused: by the owner of the namespace, under any name', async () => {
    for (const metadata of [{ name: 'mine' }, { generateName: 'req-' }, { name: 'req-abcde' }])
      expectStopped(await create(OWNER, request(SIGNER, metadata)), POLICY, SIGNER)
  })
  test('refused: by server-side apply', async () => {
    const body = request(SIGNER, { name: 'mine' })
    const resource = 'podcertificaterequests/mine'
    const apply = {
      as: OWNER,
      api: 'certificates.k8s.io/v1',
      resource,
      type: 'apply',
      body,
    } as const
    expectStopped(await send(ground, { ...apply, place: 'certs-only' }), POLICY, SIGNER)
  })
  test('refused: by a user with the name of a node but not its group; in a namespace that is not enabled', async () => {
    const node = { user: 'system:node:mine', groups: ['system:masters', 'system:authenticated'] }
    expectStopped(await create(node, request(SIGNER, { name: 'mine' })), POLICY, SIGNER)
    expectStopped(await create(node, request(SIGNER, { name: 'mine' }), 'tobe'), POLICY, SIGNER)
  })
  test('a developer has no right to it', async () => {
    expectStopped(await create(DEV, request(SIGNER, { name: 'mine' })), 'RBAC', 'cannot create')
  })
  test('admitted: requests to other signers', async () => {
    const answer = await create(OWNER, request('signers.example/mine', { name: 'mine' }))
    expect(answer.message).not.toContain('nocreds')
  })
})
