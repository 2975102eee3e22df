import { describe, expect, test } from '@jest/globals'
import type { LogFields, Logger } from '../../shared/base/log.ts'
import {
  KubeError,
  type KubeClient,
  type KubeList,
  type KubeObject,
  type Query,
} from '../../shared/server/kube/kube-client.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { findCertificateSource, findTrustBundle } from './certificate-source.ts'

type Answer = KubeObject | undefined | KubeError

/** The apiserver's answers to a question each; the last one for all that follow. */
function started(
  answers: Answer[],
  pages: KubeList[] = [nodes('v1.37.2')],
): {
  readonly kube: KubeClient
  readonly asked: string[]
  readonly queries: Query[]
  readonly lines: LogFields[]
  readonly clock: VirtualClock
  readonly log: Logger
} {
  const asked: string[] = []
  const queries: Query[] = []
  const lines: LogFields[] = []
  const get = (path: string): Promise<KubeObject | undefined> => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]
    asked.push(path)
    return answer instanceof KubeError ? Promise.reject(answer) : Promise.resolve(answer)
  }
  const list = (path: string, query: Query): Promise<KubeList> => {
    expect(path).toBe('/api/v1/nodes')
    queries.push(query)
    return Promise.resolve(pages[queries.length - 1]!)
  }
  const keep = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  return {
    kube: { get, list } as KubeClient,
    asked,
    queries,
    lines,
    clock: new VirtualClock(),
    log,
  }
}

/** A page of nodes by the versions of their kubelets. */
function nodes(...versions: (string | undefined)[]): KubeList {
  return {
    metadata: {},
    items: versions.map((kubeletVersion, index) => ({
      metadata: { name: `node-${index}` },
      status: { nodeInfo: { kubeletVersion } },
    })),
  }
}

const resources = (...names: string[]): Answer => ({
  metadata: {},
  kind: 'APIResourceList',
  resources: names.map((name) => ({ name })),
})
const SERVED = resources('podcertificaterequests', 'clustertrustbundles')
const OTHERS = resources('certificatesigningrequests')

const FINDERS = [
  ['the source', findCertificateSource, 'pod-certificate', 'authority'],
  ['the trust bundle', findTrustBundle, 'cluster-trust-bundle', 'config-map'],
] as const

describe.each(FINDERS)('%s', (_name, find, newer, older) => {
  test.each([
    ['served, and every node knows it', SERVED, newer],
    ['the group is served without it', OTHERS, older],
    ['the group is not served', undefined, older],
    ['the answer has no resources', { metadata: {} }, older],
  ] as const)('auto: %s', async (_, answer, found) => {
    const deps = started([answer])
    expect(await find('auto', deps)).toBe(found)
    expect(deps.asked).toEqual(['/apis/certificates.k8s.io/v1'])
    expect(deps.queries).toHaveLength(answer === SERVED ? 1 : 0)
  })

  test.each([
    [['v1.37.0'], newer],
    [['v1.37.2-eks-1a2b3c', 'v1.38.0', 'v2.0.0', 'v1.37.0-rc.1'], newer],
    [['v1.37.2', 'v1.36.9'], older],
    [['v1.37.2', 'v1.4.0'], older],
    [['v0.99.0'], older],
    [['v1.37.2', undefined], older],
    [['1.37'], older],
    [['v1.370'], newer],
    [['v1.37-x'], older],
    [[], newer],
  ])('auto: kubelets %j', async (versions, found) => {
    const deps = started([SERVED], [nodes(...versions)])
    expect(await find('auto', deps)).toBe(found)
  })

  test('auto: every page of nodes is looked at, and an old one is named', async () => {
    const first = { ...nodes('v1.37.0'), metadata: { continue: 'more' } }
    const deps = started([SERVED], [first, nodes('v1.37.1', 'v1.35.3')])
    expect(await find('auto', deps)).toBe(older)
    expect(deps.queries).toEqual([{ limit: '100' }, { limit: '100', continue: 'more' }])
    expect(deps.lines).toContainEqual(
      expect.objectContaining({
        used: false,
        why: 'node node-1 has kubelet v1.35.3, older than 1.37',
      }),
    )
  })

  test('auto: asks until the apiserver answers', async () => {
    const gone = new KubeError(0, 'the apiserver cannot be reached')
    const deps = started([gone, new KubeError(503, 'starting'), SERVED])
    const finding = find('auto', deps)
    await deps.clock.advance(10_000)
    expect(await finding).toBe(newer)
    expect(deps.asked).toHaveLength(3)
    expect(deps.lines).toContainEqual({ error: 'the apiserver cannot be reached' })
  })

  test('auto without a cluster is the older one', async () => {
    expect(await find('auto', { ...started([SERVED]), kube: undefined })).toBe(older)
  })

  test.each([newer, older])('%s needs no answer', async (wanted) => {
    const deps = started([SERVED])
    expect(await find(wanted as never, deps)).toBe(wanted)
    expect(deps.asked).toEqual([])
  })
})
