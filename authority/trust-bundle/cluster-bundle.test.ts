import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY, CLUSTER_TRUST_BUNDLE } from '../../contract/certificates.ts'
import { AuthorityStage, soon } from '../../test/fakes/authority-stage.ts'

const API = '/apis/certificates.k8s.io/v1'
const PATH = `${API}/clustertrustbundles/${CLUSTER_TRUST_BUNDLE.name}`

let stage: AuthorityStage

beforeEach(async () => {
  stage = await AuthorityStage.open()
})

afterEach(() => stage.close())

const spec = (): unknown => stage.api.store.get(PATH)?.['spec']
const wanted = (): object => ({ signerName: AUTHORITY.signerName, trustBundle: stage.roots() })

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
    await Promise.all([stage.start(), stage.start()])
    await expectWritten()
    expect(stage.api.store.present(PATH).metadata['ownerReferences']).toMatchObject([
      { kind: 'ClusterRole' },
    ])
    const present = stage.api.store.present(PATH)
    stage.api.store.write(PATH, { ...present, spec: { ...wanted(), trustBundle: 'evil' } })
    await expectWritten()
    stage.api.store.delete(PATH)
    await expectWritten()
  })

  test('is not requested if it is not served', async () => {
    stage.api.extra.set(`GET ${API}`, () => ({ resources: [{ name: 'podcertificaterequests' }] }))
    const authority = await stage.start()
    await soon(() => {
      expect(stage.api.requests.map(({ path }) => path)).toContain(API)
    })
    expect(authority.isReady()).toBe(true)
    expect(stage.api.requests.filter(({ path }) => path.includes('clustertrust'))).toEqual([])
  })
})
