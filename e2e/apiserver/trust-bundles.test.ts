/**
 * The authority on a real apiserver: a trust bundle that is what it should be costs no write, though the authority
 * reads none; and what stands in its place is replaced, whatever it is.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { AUTHORITY, CLUSTER_TRUST_BUNDLE, TRUST_BUNDLE } from '../../contract/certificates.ts'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { waitFor } from '../support/wait.ts'
import { openHarness, type Harness } from './harness.ts'
import { create, createTeam } from './objects.ts'

const LIMIT_MS = 30_000
/** A replica that has started has compared everything by then. */
const COMPARED_MS = 5000
const API = '/apis/certificates.k8s.io/v1'
const CLUSTER_BUNDLE = `${API}/clustertrustbundles/${CLUSTER_TRUST_BUNDLE.name}`

const pathIn = (namespace: string): string =>
  `/api/v1/namespaces/${namespace}/configmaps/${TRUST_BUNDLE.configMap}`

interface Found {
  readonly metadata: {
    readonly uid: string
    readonly resourceVersion: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
  readonly immutable?: boolean
  readonly spec?: object
}

let harness: Harness
let real: string

beforeAll(async () => {
  harness = await openHarness()
  await createTeam(harness.api, 'team')
  const { data } = await waitFor('the first trust bundle', LIMIT_MS, () => found(pathIn('team')))
  real = data?.[TRUST_BUNDLE.key] ?? ''
}, 60_000)

afterAll(() => harness.stop(), 60_000)

async function found(path: string): Promise<Found | undefined> {
  const { status, body } = await harness.api({ method: 'GET', path })
  return status === 200 ? (body as Found) : undefined
}

async function servesClusterBundles(): Promise<boolean> {
  const { status, body } = await harness.api({ method: 'GET', path: API })
  if (status !== 200) return false
  const { resources } = body as { readonly resources: readonly { readonly name: string }[] }
  return resources.some(({ name }) => name === 'clustertrustbundles')
}

test('a replica that starts compares by writing, which changes nothing that is up to date', async () => {
  const paths = [pathIn('team'), ...((await servesClusterBundles()) ? [CLUSTER_BUNDLE] : [])]
  await sleep(realClock, COMPARED_MS)
  const before = await Promise.all(paths.map(found))
  await harness.nocreds.restart(AUTHORITY.service)
  await sleep(realClock, COMPARED_MS)
  expect(await Promise.all(paths.map(found))).toEqual(before)
}, 60_000)

test('the ClusterTrustBundle has the same CAs if the apiserver serves ClusterTrustBundles', async () => {
  if (!(await servesClusterBundles())) {
    expect(await found(CLUSTER_BUNDLE)).toBeUndefined()
    return
  }
  const { spec } = await waitFor('the ClusterTrustBundle', LIMIT_MS, () => found(CLUSTER_BUNDLE))
  expect(spec).toEqual({ signerName: AUTHORITY.signerName, trustBundle: real })
})

describe('in the place of a trust bundle', () => {
  const FORMS: Readonly<Record<string, { readonly metadata?: object; readonly more?: object }>> = {
    plain: {},
    immutable: { more: { immutable: true } },
    'with finalizers': { metadata: { finalizers: ['example.com/stay'] } },
    'immutable, with finalizers': {
      metadata: { finalizers: ['example.com/stay'] },
      more: { immutable: true },
    },
    'with the labels of the authority': {
      metadata: { labels: { 'app.kubernetes.io/managed-by': AUTHORITY.service } },
      more: { immutable: true, binaryData: { x: 'AAAA' } },
    },
  }

  test.each(Object.entries(FORMS))(
    'a foreign ConfigMap, %s, is replaced',
    async (_, { metadata, more }) => {
      const namespace = `planted-${Object.keys(FORMS).indexOf(_)}`
      await create(harness.api, '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace },
      })
      // By an administrator whom the guard of this test does not watch, while the authority is down.
      await harness.nocreds.stop(AUTHORITY.service)
      await unguarded(() =>
        create(harness.api, `/api/v1/namespaces/${namespace}/configmaps`, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: TRUST_BUNDLE.configMap, ...metadata },
          data: { [TRUST_BUNDLE.key]: 'evil' },
          ...more,
        }),
      )
      const annotations = { 'nocreds.dev/permitted-dns-names': '' }
      await harness.api({
        method: 'PATCH',
        path: `/api/v1/namespaces/${namespace}`,
        body: { metadata: { annotations } },
        contentType: 'application/merge-patch+json',
      })
      await harness.nocreds.restart(AUTHORITY.service)
      const replaced = await waitFor(`the bundle of ${namespace}`, LIMIT_MS, async () => {
        const one = await found(pathIn(namespace))
        return one?.data?.[TRUST_BUNDLE.key] === real ? one : undefined
      })
      expect(replaced).not.toHaveProperty('immutable')
      expect(replaced).not.toHaveProperty('binaryData')
      expect(replaced.metadata).not.toHaveProperty('finalizers')
      expect(replaced.metadata.labels).toMatchObject({ 'velero.io/exclude-from-backup': 'true' })
    },
    90_000,
  )

  /** With the guard's policy over trust bundles away, and put back as it was. */
  async function unguarded(action: () => Promise<unknown>): Promise<void> {
    const name = 'nocreds-trust-bundles'
    const bindings = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings'
    const { body } = await harness.api({ method: 'GET', path: `${bindings}/${name}` })
    const { metadata, ...rest } = body as { metadata: { name: string } }
    await harness.api({ method: 'DELETE', path: `${bindings}/${name}` })
    try {
      await waitFor('the guard to look away', LIMIT_MS, () =>
        action().then(
          () => true as const,
          () => undefined,
        ),
      )
    } finally {
      await create(harness.api, bindings, { ...rest, metadata: { name: metadata.name } })
    }
  }
})
