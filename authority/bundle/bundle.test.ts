import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { INJECTION_LABEL } from '../../contract/names.ts'
import { writeNamespace } from '../../testbed/authority-cluster.ts'
import { AuthorityStage, soon } from '../../testbed/authority-stage.ts'

let stage: AuthorityStage

beforeEach(async () => {
  stage = await AuthorityStage.open()
})

afterEach(() => stage.close())

describe('trust bundles', () => {
  const pathIn = (namespace: string): string =>
    `/api/v1/namespaces/${namespace}/configmaps/${TRUST_BUNDLE.configMap}`
  const bundleIn = (namespace: string): unknown => stage.api.store.get(pathIn(namespace))?.['data']

  test('stand where the label is, are mended, and go with it', async () => {
    await stage.start()
    const wanted = { [TRUST_BUNDLE.key]: stage.roots() }
    await soon(() => {
      expect(bundleIn('team-a')).toEqual(wanted)
    })
    expect(stage.api.store.present(pathIn('team-a')).metadata['ownerReferences']).toEqual([
      expect.objectContaining({ kind: 'ClusterRole', uid: 'uid-of-the-role' }),
    ])
    writeNamespace(stage.api, 'team-c', {})
    await soon(() => {
      expect(bundleIn('team-c')).toEqual(wanted)
    })
    stage.api.store.write(pathIn('team-c'), {
      ...stage.api.store.present(pathIn('team-c')),
      data: { a: 'b' },
    })
    await soon(() => {
      expect(bundleIn('team-c')).toEqual(wanted)
    })
    stage.api.store.write('/api/v1/namespaces/team-c', { metadata: { name: 'team-c' } })
    await soon(() => {
      expect(bundleIn('team-c')).toBeUndefined()
    })
    expect(bundleIn('team-b')).toBeUndefined()
  })

  test('are not made in a namespace that is being deleted', async () => {
    const deletionTimestamp = '2026-01-01T00:00:00Z'
    const labels = { [INJECTION_LABEL.key]: INJECTION_LABEL.value }
    stage.api.store.write('/api/v1/namespaces/ending', {
      metadata: { name: 'ending', labels, deletionTimestamp },
    })
    await stage.start()
    await soon(() => {
      expect(bundleIn('team-a')).toBeDefined()
    })
    expect(bundleIn('ending')).toBeUndefined()
  })
})
