import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { DRIVER } from '../../contract/driver.ts'
import { INJECTION_LABEL } from '../../contract/names.ts'
import type { StoredObject } from '../../test/fakes/apiserver-store.ts'
import { writeNamespace } from '../../test/fakes/authority-cluster.ts'
import { AuthorityHarness, soon } from '../../test/fakes/authority-harness.ts'

const EVIL = '-----BEGIN CERTIFICATE-----\nEVIL\n-----END CERTIFICATE-----\n'
const FINALIZER = 'example.com/stay'

let harness: AuthorityHarness

beforeEach(async () => {
  harness = await AuthorityHarness.open()
})

afterEach(() => harness.close())

const pathIn = (namespace: string): string =>
  `/api/v1/namespaces/${namespace}/configmaps/${TRUST_BUNDLE.configMap}`
const bundleIn = (namespace: string): StoredObject | undefined =>
  harness.api.store.get(pathIn(namespace))
const wanted = (): object => ({ [TRUST_BUNDLE.key]: harness.roots() })

function enable(namespace: string, metadata: object = {}): void {
  const labels = { [INJECTION_LABEL.key]: INJECTION_LABEL.value }
  harness.api.store.write(`/api/v1/namespaces/${namespace}`, {
    metadata: { name: namespace, labels, ...metadata },
  })
}

function disable(namespace: string): void {
  harness.api.store.write(`/api/v1/namespaces/${namespace}`, { metadata: { name: namespace } })
}

/** What a tenant with permission to write ConfigMaps may write; only the copied `labels` remain. */
function plant(namespace: string, changes: object, metadata: object = {}): void {
  harness.api.store.write(pathIn(namespace), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: TRUST_BUNDLE.configMap,
      namespace,
      uid: `planted-in-${namespace}`,
      ...metadata,
    },
    data: { [TRUST_BUNDLE.key]: EVIL },
    ...changes,
  })
}

/** Exactly the desired content, and nothing that was planted. */
async function expectBundle(namespace: string): Promise<void> {
  await soon(() => {
    const found = bundleIn(namespace)
    expect(found?.['data']).toEqual(wanted())
    expect(found).not.toHaveProperty('immutable')
    expect(found).not.toHaveProperty('binaryData')
    expect(found?.metadata).not.toHaveProperty('finalizers')
    expect(found?.metadata).not.toHaveProperty('deletionTimestamp')
  })
}

/** Several times as long as changes are batched. */
async function untilQuiet(): Promise<void> {
  for (let before = -1; before !== harness.api.requests.length;) {
    before = harness.api.requests.length
    await pause(500)
  }
}

describe('trust bundles', () => {
  test('are written to enabled namespaces, are corrected, and are removed with the label', async () => {
    await harness.start()
    await expectBundle('team-a')
    expect(bundleIn('team-a')!.metadata).toMatchObject({
      labels: { 'velero.io/exclude-from-backup': 'true' },
      ownerReferences: [expect.objectContaining({ kind: 'ClusterRole', uid: 'uid-of-the-role' })],
    })
    writeNamespace(harness.api, 'team-c', {})
    await expectBundle('team-c')
    harness.api.store.write(pathIn('team-c'), { ...bundleIn('team-c')!, data: { a: 'b' } })
    await expectBundle('team-c')
    disable('team-c')
    await soon(() => {
      expect(bundleIn('team-c')).toBeUndefined()
    })
    expect(bundleIn('team-b')).toBeUndefined()
  })

  test('are not made in a namespace that is being deleted', async () => {
    enable('ending', { deletionTimestamp: '2026-01-01T00:00:00Z' })
    await harness.start()
    await expectBundle('team-a')
    expect(bundleIn('ending')).toBeUndefined()
  })

  test('are written again after a deletion', async () => {
    await harness.start()
    await expectBundle('team-a')
    harness.api.store.delete(pathIn('team-a'))
    await expectBundle('team-a')
  })

  test('that do not change cost nothing: each is written once, and never read', async () => {
    enable('team-c')
    await Promise.all([harness.start(), harness.start()])
    await expectBundle('team-a')
    await expectBundle('team-c')
    await untilQuiet()
    const revision = harness.api.store.revision
    harness.api.requests.length = 0
    writeNamespace(harness.api, 'team-d', {}) // wakes both
    await expectBundle('team-d')
    await untilQuiet()
    expect(harness.api.store.revision).toBe(revision + 2) // the Namespace, and one ConfigMap
    const touched = harness.api.requests.filter(({ path }) => path.includes('/configmaps'))
    expect(touched.every(({ path }) => path.includes('/namespaces/team-d/'))).toBe(true)
    expect(touched.some(({ method }) => method === 'GET')).toBe(false)
  })
})

describe('a foreign trust bundle', () => {
  const FORMS: [what: string, changes: object, metadata: object][] = [
    ['plain', {}, {}],
    ['immutable', { immutable: true }, {}],
    ['immutable, with binary data', { immutable: true, binaryData: { x: 'AAAA' } }, {}],
    ['with binary data', { binaryData: { x: 'AAAA' } }, {}],
    ['with finalizers', {}, { finalizers: [FINALIZER] }],
    ['immutable, with finalizers', { immutable: true }, { finalizers: [FINALIZER] }],
    [
      'immutable, being deleted, and held by a finalizer',
      { immutable: true },
      { finalizers: [FINALIZER], deletionTimestamp: '2026-01-01T00:00:00Z' },
    ],
    [
      'that bears our labels',
      { immutable: true },
      { labels: { 'app.kubernetes.io/managed-by': 'nocreds-authority' } },
    ],
  ]

  test.each(FORMS)('planted before the namespace is enabled: %s', async (_, changes, metadata) => {
    enable('team-c')
    plant('team-c', changes, metadata)
    await harness.start()
    await expectBundle('team-c')
  })

  test.each(FORMS)('in the place of the trust bundle: %s', async (_, changes, metadata) => {
    await harness.start()
    await expectBundle('team-a')
    plant('team-a', changes, { uid: bundleIn('team-a')!.metadata['uid'], ...metadata })
    await expectBundle('team-a')
  })

  test('a trust bundle that was patched to be immutable, with one more CA', async () => {
    await Promise.all([harness.start(), harness.start()])
    await expectBundle('team-a')
    const data = { [TRUST_BUNDLE.key]: harness.roots() + EVIL }
    harness.api.store.write(pathIn('team-a'), { ...bundleIn('team-a')!, immutable: true, data })
    await expectBundle('team-a')
  })

  test('is removed from namespaces that are not enabled, whatever it contains', async () => {
    for (const [index, [, changes, metadata]] of FORMS.entries()) {
      disable(`other-${index}`)
      plant(`other-${index}`, changes, metadata)
    }
    await harness.start()
    plant('team-b', {})
    await soon(() => {
      expect(bundleIn('team-b')).toBeUndefined()
      for (const index of FORMS.keys()) expect(bundleIn(`other-${index}`)).toBeUndefined()
    })
    enable('other-5') // immutable, with finalizers
    await expectBundle('other-5')
  })

  test('the trust bundle is not removed by a replica whose watch of namespaces lags behind', async () => {
    await harness.start()
    await expectBundle('team-a')
    harness.api.watches.hold()
    enable('team-c')
    harness.api.watches.release()
    await expectBundle('team-c')
    expect(harness.api.requests.filter(({ method }) => method === 'DELETE')).toEqual([])
  })

  test('is removed by its uid, so never a later object of its name', async () => {
    disable('team-c')
    plant('team-c', {})
    harness.api.beforeAnswer = ({ method, path }) => {
      if (method !== 'DELETE' || path !== pathIn('team-c')) return
      harness.api.beforeAnswer = () => undefined
      enable('team-c')
      plant('team-c', { data: wanted() }, { uid: 'of-another-replica' })
    }
    await harness.start()
    await expectBundle('team-c')
    expect(bundleIn('team-c')!.metadata['uid']).toBe('of-another-replica')
  })
})

describe('three hundred foreign ones of 1 MiB', () => {
  test('are never read, and only a few calls run concurrently', async () => {
    const large = 'x'.repeat(1024 * 1024)
    for (let index = 0; index < 300; index += 1) {
      if (index % 2 === 0) enable(`foreign-${index}`)
      else disable(`foreign-${index}`)
      plant(`foreign-${index}`, { immutable: true, data: { [TRUST_BUNDLE.key]: large } })
    }
    let underWay = 0
    let most = 0
    harness.api.around = async ({ path }, answer) => {
      if (!path.includes('/namespaces/foreign-')) {
        await answer()
        return
      }
      underWay += 1
      most = Math.max(most, underWay)
      await pause(1) // so that those that come together meet
      await answer().finally(() => (underWay -= 1))
    }
    await harness.start()
    await soon(() => {
      for (let index = 0; index < 300; index += 1) {
        const found = bundleIn(`foreign-${index}`)?.['data']
        expect(found).toEqual(index % 2 === 0 ? wanted() : undefined)
      }
    })
    expect(most).toBe(4)
    const reads = harness.api.requests.filter(
      ({ method, path }) => method === 'GET' && path.includes('/configmaps'),
    )
    expect(reads.filter(({ accept }) => !accept.includes('as=PartialObjectMetadata'))).toEqual([])
  })
})

describe('the namespace of the driver', () => {
  test('gets the trust bundle without being enabled, as soon as it exists', async () => {
    await harness.start()
    disable(DRIVER.namespace)
    await expectBundle(DRIVER.namespace)
    plant(DRIVER.namespace, {})
    await expectBundle(DRIVER.namespace)
  })

  test('and no other one does', async () => {
    await harness.start()
    disable(DRIVER.namespace)
    disable('nocreds-driver-2')
    await expectBundle(DRIVER.namespace)
    expect(bundleIn('nocreds-driver-2')).toBeUndefined()
  })

  test('one that is there before the namespace is not kept', async () => {
    plant(DRIVER.namespace, {})
    await harness.start()
    disable(DRIVER.namespace)
    await expectBundle(DRIVER.namespace)
  })
})
