import { describe, expect, test } from '@jest/globals'
import { VirtualClock } from '../../testbed/virtual-clock.ts'
import type { LogFields, Logger } from '../../platform/log.ts'
import { findCertificateDoor } from './certificate-door.ts'
import { KubeError, type KubeClient, type KubeObject } from '../../service/kube/kube-client.ts'

type Answer = KubeObject | undefined | KubeError

/** The apiserver's answers to a question each; the last one for all that follow. */
function started(...answers: Answer[]): {
  readonly kube: KubeClient
  readonly asked: string[]
  readonly lines: LogFields[]
  readonly clock: VirtualClock
  readonly log: Logger
} {
  const asked: string[] = []
  const lines: LogFields[] = []
  const get = (path: string): Promise<KubeObject | undefined> => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]
    asked.push(path)
    return answer instanceof KubeError ? Promise.reject(answer) : Promise.resolve(answer)
  }
  const keep = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  return { kube: { get } as KubeClient, asked, lines, clock: new VirtualClock(), log }
}

const list = (...names: string[]): Answer => ({
  metadata: {},
  kind: 'APIResourceList',
  resources: names.map((name) => ({ name })),
})
const SERVED = list('certificatesigningrequests', 'podcertificaterequests')

describe('findCertificateDoor', () => {
  test.each([
    ['PodCertificateRequests are served', SERVED, 'pod-certificate'],
    ['the group is served without them', list('certificatesigningrequests'), 'authority'],
    ['the group is not served', undefined, 'authority'],
    ['the answer has no resources', { metadata: {} }, 'authority'],
  ] as const)('auto: %s', async (_, answer, door) => {
    const deps = started(answer)
    expect(await findCertificateDoor('auto', deps)).toBe(door)
    expect(deps.asked).toEqual(['/apis/certificates.k8s.io/v1'])
  })

  test('auto: asks until the apiserver answers', async () => {
    const gone = new KubeError(0, 'the apiserver cannot be reached')
    const deps = started(gone, new KubeError(503, 'starting'), SERVED)
    const door = findCertificateDoor('auto', deps)
    await deps.clock.advance(10_000)
    expect(await door).toBe('pod-certificate')
    expect(deps.asked).toHaveLength(3)
    expect(deps.lines).toContainEqual({ error: 'the apiserver cannot be reached' })
  })

  test('auto without a cluster is the authority', async () => {
    expect(await findCertificateDoor('auto', { ...started(SERVED), kube: undefined })).toBe(
      'authority',
    )
  })

  test.each(['authority', 'pod-certificate'] as const)('%s needs no answer', async (wanted) => {
    const deps = started(SERVED)
    expect(await findCertificateDoor(wanted, deps)).toBe(wanted)
    expect(deps.asked).toEqual([])
  })
})
