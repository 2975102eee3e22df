import { INJECTION_LABEL } from '../../contract/names.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import {
  isLostRace,
  type KubeClient,
  type KubeObject,
  type Operation,
} from '../../shared/server/kube/kube-client.ts'
import { decideNamespace, labelInSync } from '../admit/decide-namespace.ts'
import { namespaceSchema, type Namespace } from '../admit/pod.ts'
import { keepOwnAnnotations } from './own-annotations.ts'
import type { Annotated } from './types.ts'

/** What is kept of a Namespace in a cache: its annotations of ours, and the label that they demand. */
export interface LabelledNamespace extends Annotated {
  /** Undefined where the label is not there. */
  readonly label: string | undefined
  /** Once it is being deleted: no pod is created there any more. */
  readonly isEnding: true | undefined
}

/** Shared by every Namespace without annotations and label of ours. */
export const UNLABELLED: LabelledNamespace = Object.freeze({
  ...keepOwnAnnotations(undefined),
  label: undefined,
  isEnding: undefined,
})

export function keepNamespace({ metadata }: KubeObject): LabelledNamespace {
  const labels = metadata['labels'] as Readonly<Record<string, string>> | null | undefined
  const label = labels?.[INJECTION_LABEL.key]
  const { annotations } = keepOwnAnnotations(metadata.annotations)
  if (label === undefined && Object.keys(annotations).length === 0) return UNLABELLED
  const isEnding = metadata['deletionTimestamp'] === undefined ? undefined : true
  return { annotations, label, isEnding }
}

/** What became of one Namespace; `failed` is tried again. */
type LabelResult = 'label-added' | 'label-removed' | 'failed'

export interface NamespaceLabelsDeps {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly note: (result: LabelResult) => void
}

export interface NamespaceLabels {
  /** Namespaces whose label is not what their annotations demand. */
  readonly outOfSync: number
  /** A Namespace as the watch brings it; undefined: it is gone. */
  seen(name: string, namespace: LabelledNamespace | undefined): void
  stop(): void
}

/** The first try waits for so long at most: replicas do not come at once, and an event seldom is the last. */
const FIRST_TRY_MS = 2000
/** From one Namespace to the next: after a restore there may be thousands, and the apiserver serves others, too. */
const PACE_MS = 200
const BACKOFF_MS = { first: 5000, cap: 300_000 } as const

interface Waiting {
  dueMs: number
  failures: number
}

/**
 * Sets the label of Namespaces right that were annotated, or lost their annotations, while no webhook
 * was asked: before nocreds was installed, by a restore, while its configuration was away. All others are
 * labelled by the admission of their own change.
 *
 * Each replica does this. A change in between makes the patch fail by its test of the resourceVersion; then
 * the watch brings the new state, which mostly is in sync. One Namespace at a time, at most one in 200 ms.
 */
export function createNamespaceLabels(deps: NamespaceLabelsDeps): NamespaceLabels {
  const { clock, random, log, note } = deps
  const waiting = new Map<string, Waiting>()
  let cancel: (() => void) | undefined
  let isBusy = false
  let isStopped = false

  const arm = (): void => {
    cancel?.()
    if (isBusy || isStopped || waiting.size === 0) return
    const dueMs = Math.min(...Array.from(waiting.values(), (one) => one.dueMs))
    cancel = clock.after(Math.max(PACE_MS, dueMs - clock.monotonic()), () => {
      isBusy = true
      void next().finally(() => {
        isBusy = false
        arm()
      })
    })
  }
  const next = async (): Promise<void> => {
    const [name, task] = earliest(waiting)
    if (name === undefined || task === undefined) return
    try {
      const result = await bringInSync(name, deps)
      // Unless the watch brought another state meanwhile.
      if (waiting.get(name) === task) waiting.delete(name)
      if (result !== undefined) note(result)
    } catch (error) {
      task.dueMs = clock.monotonic() + backoffMs(task.failures, random)
      task.failures += 1
      // Someone else changed it, most likely the other replica to the same.
      if (isLostRace(error) && task.failures === 1) return
      note('failed')
      log.warn(
        { namespace: name, reason: messageOf(error), attempt: task.failures },
        'the label of a Namespace is not what its annotations demand, and cannot be changed',
      )
    }
  }
  return {
    get outOfSync() {
      return waiting.size
    },
    seen(name, namespace) {
      if (namespace === undefined || namespace.isEnding === true || isInSync(namespace)) {
        waiting.delete(name)
        return
      }
      const dueMs = clock.monotonic() + random() * FIRST_TRY_MS
      waiting.set(name, { dueMs, failures: 0, ...waiting.get(name) })
      arm()
    },
    stop() {
      isStopped = true
      cancel?.()
    },
  }
}

function earliest(waiting: ReadonlyMap<string, Waiting>): [string?, Waiting?] {
  let first: [string?, Waiting?] = []
  for (const entry of waiting) if (!first[1] || entry[1].dueMs < first[1].dueMs) first = entry
  return first
}

function backoffMs(failures: number, random: Random): number {
  const ceilingMs = Math.min(BACKOFF_MS.cap, BACKOFF_MS.first * 2 ** Math.min(failures, 10))
  return ceilingMs * (0.5 + random() / 2)
}

function isInSync({ annotations, label }: LabelledNamespace): boolean {
  const labels = label === undefined ? {} : { [INJECTION_LABEL.key]: label }
  return labelInSync({ metadata: { annotations, labels } }).decision === 'unchanged'
}

/** Asks for the Namespace as it is, as the cache holds no more of it than decisions need. @throws KubeError */
async function bringInSync(
  name: string,
  { kube, log }: NamespaceLabelsDeps,
): Promise<LabelResult | undefined> {
  const path = `/api/v1/namespaces/${encodeURIComponent(name)}`
  const found = await kube.getMetadata(path)
  if (found === undefined || found.metadata['deletionTimestamp'] !== undefined) return undefined
  const namespace = namespaceSchema.parse(found)
  const { decision, reason, patch } = labelInSync(namespace)
  if (decision === 'unchanged') return undefined
  const { resourceVersion } = found.metadata
  const isThis: Operation = {
    op: 'test',
    path: '/metadata/resourceVersion',
    value: resourceVersion,
  }
  await kube.patch(path, [isThis, ...patch])
  const result = reason === 'label-added' ? 'label-added' : 'label-removed'
  log.info({ namespace: name, result }, 'label of a Namespace set right')
  warnOfInvalid(namespace, name, log)
  return result
}

/** Nobody was told so when it was written. */
function warnOfInvalid(namespace: Namespace, name: string, log: Logger): void {
  const verdict = decideNamespace({ namespace, before: undefined })
  if (verdict.decision !== 'denied') return
  log.warn(
    { namespace: name, reason: verdict.reason, message: verdict.message },
    'a Namespace has annotations that would be denied today; they permit nothing',
  )
}
