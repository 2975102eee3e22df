/**
 * A user who may write ConfigMaps tries to make the workloads of a namespace trust another CA (06): by every verb and
 * patch, before the namespace is enabled, and where the guard does not look.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { expectAdmitted, expectStopped, send, type AttackRequest } from '../support/attack.ts'
import {
  closeGround,
  CONFIG_MAP_WRITER,
  DEV,
  openGround,
  OWNER,
  ownRole,
  type Ground,
} from '../support/attackers.ts'
import { startServer } from '../support/certificates.ts'
import { waitFor } from '../support/wait.ts'

const BUNDLE = `configmaps/${TRUST_BUNDLE.configMap}`
const POLICY = 'nocreds-trust-bundles'
const BINDING = ['validatingadmissionpolicybinding', POLICY]
/** On Namespaces that a test takes away from the guard, as those were that are older than it. */
const UNGUARDED = 'attacks.example/unguarded'
/** A change that is undone is undone by then. */
const UNDONE_MS = 20_000

let ground: Ground
let evil: string
/** The authority's own bundle. */
let real: string

interface ConfigMap {
  readonly metadata: { readonly uid: string; readonly [field: string]: unknown }
  readonly data?: Readonly<Record<string, string>>
  readonly immutable?: boolean
}

beforeAll(async () => {
  ground = await openGround('bundle')
  ;({ caPem: evil } = await throwawayCertificate(['attacker.example']))
  real = await waitFor(
    'the bundle of certs-only',
    30_000,
    async () => (await bundleOf(ground.ns('certs-only')))?.data?.[TRUST_BUNDLE.key],
  )
}, 90_000)

afterAll(() => closeGround(ground))

async function bundleOf(namespace: string): Promise<ConfigMap | undefined> {
  const path = `/api/v1/namespaces/${namespace}/${BUNDLE}`
  const { status, body } = await ground.api({ method: 'GET', path })
  return status === 200 ? (body as ConfigMap) : undefined
}

const whole = (data: string, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: TRUST_BUNDLE.configMap },
  data: { [TRUST_BUNDLE.key]: data },
  ...more,
})

type Attempt = Omit<AttackRequest, 'place'> & Partial<Pick<AttackRequest, 'place'>>

const patch =
  (type: NonNullable<AttackRequest['type']>, body: (pem: string) => object) =>
  (pem: string): Attempt => ({ resource: BUNDLE, type, body: body(pem) })
const metadata = (value: object): ((pem: string) => Attempt) =>
  patch('merge', () => ({ metadata: value }))
const data = (pem: string): object => ({ data: { [TRUST_BUNDLE.key]: pem } })
const DELETE_ALL = { method: 'DELETE', as: DEV } as const
const BY_FIELD = `fieldSelector=metadata.name%3D${TRUST_BUNDLE.configMap}`
const ELSEWHERE = { as: DEV, place: 'tobe' } as const

/** Of a bundle with a foreign CA in it. None is a dry run: what succeeded would be there for the tests below to see. */
const ATTEMPTS: Readonly<Record<string, (pem: string) => Attempt>> = {
  '06: merge patch, immutable': patch('merge', (pem) => ({ immutable: true, ...data(pem) })),
  'strategic merge patch': patch('strategic-merge', data),
  'JSON patch': patch('json', (value) => [{ op: 'replace', path: '/data/ca.crt', value }]),
  'server-side apply by force': patch('apply', (pem) => whole(pem)),
  replacement: (pem) => ({ method: 'PUT', resource: BUNDLE, body: whole(pem) }),
  'one more key': patch('merge', (evil) => ({ data: { evil } })),
  'binary data': patch('merge', (pem) => ({ data: null, binaryData: { 'ca.crt': btoa(pem) } })),
  'immutable alone': patch('merge', () => ({ immutable: true })),
  'a finalizer': metadata({ finalizers: ['attacks.example/keep'] }),
  'no label': metadata({ labels: null }),
  'no owner': metadata({ ownerReferences: null }),
  deletion: () => ({ method: 'DELETE', resource: BUNDLE }),
  'deletion by the owner of the namespace': () => ({
    method: 'DELETE',
    resource: BUNDLE,
    as: OWNER,
  }),
  'deletion of all ConfigMaps': () => ({ ...DELETE_ALL, resource: 'configmaps' }),
  'deletion by field': () => ({ ...DELETE_ALL, resource: `configmaps?${BY_FIELD}` }),
  'creation where it is not yet': (pem) => ({
    ...ELSEWHERE,
    resource: 'configmaps',
    body: whole(pem),
  }),
  'creation there by server-side apply': (pem) => ({
    ...ELSEWHERE,
    resource: BUNDLE,
    type: 'apply',
    body: whole(pem),
  }),
}

describe('with rights to ConfigMaps', () => {
  let before: ConfigMap | undefined
  beforeAll(async () => {
    before = await bundleOf(ground.ns('certs-only'))
  })

  test.each(Object.entries(ATTEMPTS))('refused: %s', async (_what, attempt) => {
    const request = { as: CONFIG_MAP_WRITER, place: 'certs-only', isReal: true } as const
    const answer = await send(ground, { ...request, ...attempt(real + evil) })
    expectStopped(answer, POLICY, TRUST_BUNDLE.configMap)
  })
  test('the bundle stays what it was, to the last field', async () => {
    expect(await bundleOf(ground.ns('certs-only'))).toEqual(before)
    expect(await bundleOf(ground.ns('tobe'))).toBeUndefined()
  })

  test('other ConfigMaps are written as ever, one by one and all at once', async () => {
    const base = { as: CONFIG_MAP_WRITER, place: 'certs-only', isReal: true } as const
    const labels = { of: 'mine' }
    for (const name of ['mine', `${TRUST_BUNDLE.configMap}-mine`]) {
      const body = { ...whole('mine'), metadata: { name, labels } }
      expectAdmitted(await send(ground, { ...base, resource: 'configmaps', body }))
      const change = { type: 'merge', body: { data: { a: 'c' } } } as const
      expectAdmitted(await send(ground, { ...base, resource: `configmaps/${name}`, ...change }))
    }
    const one = { resource: 'configmaps/mine', method: 'DELETE' } as const
    expectAdmitted(await send(ground, { ...base, ...one }))
    const rest = { resource: 'configmaps?labelSelector=of%3Dmine', method: 'DELETE' } as const
    expectAdmitted(await send(ground, { ...base, ...rest, as: DEV }))
  })
})

describe('where the guard did not look', () => {
  const namespace = (name: string): string => `${ground.prefix}-${name}`
  const enable = (name: string): Promise<string> =>
    ground.kubectl(['annotate', 'namespace', namespace(name), 'nocreds.dev/permitted-dns-names='])

  /** Namespaces without the guard over their bundles, with the rights of attack 06. */
  async function makeUnguarded(...names: readonly string[]): Promise<void> {
    const right = { apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }
    await ground.kubectl.apply(
      ...names.flatMap((name) => [
        {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: namespace(name), labels: { [UNGUARDED]: 'true' } },
        },
        ...ownRole(namespace(name), CONFIG_MAP_WRITER, right),
      ]),
    )
  }
  const write = (name: string, body: object): Promise<{ status: number; message: string }> =>
    ground.api({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace(name)}/configmaps`,
      body,
      as: CONFIG_MAP_WRITER,
    })

  beforeAll(async () => {
    const elsewhere = { matchExpressions: [{ key: UNGUARDED, operator: 'DoesNotExist' }] }
    const patch = [
      { op: 'add', path: '/spec/matchResources', value: { namespaceSelector: elsewhere } },
    ]
    await ground.kubectl(['patch', ...BINDING, '--type=json', '-p', JSON.stringify(patch)])
    await makeUnguarded('planted', 'pinned', 'large', 'enabled')
    await waitFor('the guard to look elsewhere', 30_000, async () =>
      (await write('enabled', whole(evil))).status === 201 ? true : undefined,
    )
  }, 60_000)
  afterAll(async () => {
    const patch = [{ op: 'remove', path: '/spec/matchResources' }]
    await ground.kubectl(['patch', ...BINDING, '--type=json', '-p', JSON.stringify(patch)])
  })

  const isGone = (name: string): Promise<boolean> =>
    waitFor(`the planted bundle of ${name} to go`, UNDONE_MS, async () =>
      (await bundleOf(namespace(name))) === undefined ? true : undefined,
    )
  const isReal = (name: string): Promise<boolean> =>
    waitFor(`the authority's bundle in ${name}`, UNDONE_MS, async () => {
      const { data, immutable } = (await bundleOf(namespace(name))) ?? {}
      return data?.[TRUST_BUNDLE.key] === real && immutable === undefined ? true : undefined
    })

  test.each<[string, string, (pem: string) => object]>([
    ['planted', 'immutable', (pem) => whole(pem, { immutable: true })],
    [
      'pinned',
      'with a finalizer, and a label that says that nocreds wrote it',
      (pem) => {
        const { metadata, ...rest } = whole(pem) as { metadata: object }
        const labels = { 'app.kubernetes.io/managed-by': 'nocreds-authority' }
        return { ...rest, metadata: { ...metadata, labels, finalizers: ['attacks.example/keep'] } }
      },
    ],
    [
      'large',
      'of almost 1 MiB',
      (pem) => whole(pem, { data: { 'ca.crt': pem, big: 'x'.repeat(1_000_000) } }),
    ],
  ])(
    '%s before the namespace is enabled, %s: removed, and replaced once it is',
    async (name, _how, body) => {
      expect(await write(name, body(evil))).toMatchObject({ status: 201 })
      await isGone(name)
      await enable(name)
      await isReal(name)
    },
  )

  const FINALIZERS = { metadata: { finalizers: ['attacks.example/keep'] } }
  test.each<[string, ((pem: string) => object) | undefined]>([
    ['06: changed and made immutable', (pem) => ({ immutable: true, ...data(pem) })],
    ['changed and given a finalizer', (pem) => ({ ...FINALIZERS, ...data(pem) })],
    ['deleted', undefined],
  ])('in an enabled namespace, %s: undone', async (_what, change) => {
    await enable('enabled')
    await isReal('enabled')
    const path = `/api/v1/namespaces/${namespace('enabled')}/${BUNDLE}`
    const as = CONFIG_MAP_WRITER
    const contentType = 'application/merge-patch+json'
    const answer =
      change === undefined
        ? await ground.api({ method: 'DELETE', path, as })
        : await ground.api({ method: 'PATCH', path, body: change(real + evil), contentType, as })
    expect(answer).toMatchObject({ status: 200 })
    await isReal('enabled')
  })
})

test('pods of the namespace trust the authority, and nothing that was tried', async () => {
  const namespace = ground.ns('certs-only')
  await startServer(ground, { namespace, identity: '' })
  const exec = ['exec', 'deployment/server', '--namespace', namespace, '-c', 'app', '--']
  const trusted = await ground.kubectl([...exec, 'sh', '-c', 'cat "$NOCREDS_TLS_DIR/ca.crt"'])
  expect(trusted.trim()).toBe(real.trim())
})

test('a namespace with a bundle can be deleted', async () => {
  const name = ground.ns('tobe')
  await ground.kubectl(['annotate', 'namespace', name, 'nocreds.dev/permitted-dns-names='])
  await waitFor('its bundle', UNDONE_MS, () => bundleOf(name))
  await ground.kubectl(['delete', 'namespace', name, '--timeout=60s'])
})
