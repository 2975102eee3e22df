import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY, CLUSTER_TRUST_BUNDLE } from '../../contract/certificates.ts'
import { AuthorityHarness, soon } from '../../test/fakes/authority-harness.ts'

const API = '/apis/certificates.k8s.io/v1'
const PATH = `${API}/clustertrustbundles/${CLUSTER_TRUST_BUNDLE.name}`

let harness: AuthorityHarness

beforeEach(async () => {
  harness = await AuthorityHarness.open()
})

afterEach(() => harness.close())

const spec = (): unknown => harness.api.store.get(PATH)?.['spec']
const wanted = (): object => ({ signerName: AUTHORITY.signerName, trustBundle: harness.roots() })

async function expectWritten(): Promise<void> {
  await soon(() => {
    expect(spec()).toEqual(wanted())
  })
}

describe('the ClusterTrustBundle', () => {
  test('has the name of its signer', () => {
    expect(CLUSTER_TRUST_BUNDLE.name).toBe('nocreds.dev:workload:roots')
  })

  test('is written beside the ConfigMaps, and again after each change by others', async () => {
    await Promise.all([harness.start(), harness.start()])
    await expectWritten()
    expect(harness.api.store.present(PATH).metadata['ownerReferences']).toMatchObject([
      { kind: 'ClusterRole' },
    ])
    const present = harness.api.store.present(PATH)
    harness.api.store.write(PATH, { ...present, spec: { ...wanted(), trustBundle: 'evil' } })
    await expectWritten()
    harness.api.store.delete(PATH)
    await expectWritten()
  })

  test('is not requested if it is not served', async () => {
    harness.api.extra.set(`GET ${API}`, () => ({ resources: [{ name: 'podcertificaterequests' }] }))
    const authority = await harness.start()
    await soon(() => {
      expect(harness.api.requests.map(({ path }) => path)).toContain(API)
    })
    expect(authority.isReady()).toBe(true)
    expect(harness.api.requests.filter(({ path }) => path.includes('clustertrust'))).toEqual([])
  })
})
