import { EXCHANGER, INJECTED_ROLE } from '../../contract/names.ts'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Apiserver } from './apiserver.ts'
import { reached } from './reached.ts'
import type { Team } from './suite.ts'

const PAUSE_MS = 100 // which makes some twenty a second
const AT_ONCE = 2

/** What became of a stream of pod creations; two empty lists are what a test wants to see. */
export interface Streamed {
  readonly created: number
  /** Why creations failed, one line each. */
  readonly failed: readonly string[]
  /** Names of pods that were admitted, but not with the team's role. */
  readonly withoutCredentials: readonly string[]
}

interface Pod {
  readonly metadata: {
    readonly name: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: { readonly initContainers?: readonly { readonly name: string }[] }
}

/** True for a pod that has our sidecar first and this role. */
export function isInjected(pod: Pod, role: string): boolean {
  const first = pod.spec.initContainers?.[0]?.name
  return first === EXCHANGER.container && pod.metadata.annotations?.[INJECTED_ROLE] === role
}

/**
 * Creates pods of a team until `work` is done, two at once and then a pause, without trying anything again. They are
 * of a scheduler that does not exist, so none ever starts.
 *
 * @param work what happens meanwhile; its error ends the stream, and is thrown
 */
export async function streamPodsDuring(
  api: Apiserver,
  team: Team,
  work: () => Promise<unknown>,
  { pauseMs = PAUSE_MS } = {},
): Promise<Streamed> {
  const failed: string[] = []
  const withoutCredentials: string[] = []
  let created = 0
  const createOne = async (): Promise<void> => {
    try {
      const answer = await api({
        method: 'POST',
        path: `/api/v1/namespaces/${team.namespace}/pods`,
        body: unscheduledPod(),
      })
      const pod = answer.body as Pod
      if (answer.status !== 201) failed.push(`${answer.status} ${answer.message}`)
      else if (isInjected(pod, team.role)) created += 1
      else withoutCredentials.push(pod.metadata.name)
    } catch (error) {
      failed.push(messageOf(error))
    }
  }
  const done = new AbortController()
  const working = work().finally(() => {
    done.abort()
  })
  const streaming = (async () => {
    while (!done.signal.aborted) {
      await Promise.all(Array.from({ length: AT_ONCE }, createOne))
      await sleep(realClock, pauseMs)
    }
  })()
  await Promise.all([working, streaming])
  return { created, failed, withoutCredentials }
}

/** Waits until each replica admits pods of the team with credentials: all have heard of it from the apiserver. */
export async function admissionIsBack(api: Apiserver, team: Team): Promise<void> {
  const path = `/api/v1/namespaces/${team.namespace}/pods?dryRun=All`
  await reached('injection', async () => {
    const { status, message, body } = await api({ method: 'POST', path, body: unscheduledPod() })
    if (status !== 201) throw new Error(`${status} ${message}`)
    if (!isInjected(body as Pod, team.role)) throw new Error('a pod had no credentials')
  })
}

function unscheduledPod(): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'stream-' },
    spec: {
      serviceAccountName: 'app',
      schedulerName: 'none',
      containers: [{ name: 'app', image: 'example/app:1' }],
    },
  }
}
