import { INJECTION_LABEL } from '../../contract/names.ts'
import type { Cancel, Clock, Random } from '../../shared/base/clock.ts'
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

/** What the cache keeps of a Namespace: its annotations of nocreds, and the label that these require. */
export interface LabelledNamespace extends Annotated {
  /** Undefined if the label is not there. */
  readonly label: string | undefined
  /** Being deleted: no pod can be created there any more. */
  readonly isTerminating: true | undefined
}

/** Shared by every Namespace without annotations and label of nocreds. */
export const UNLABELLED: LabelledNamespace = Object.freeze({
  ...keepOwnAnnotations(undefined),
  label: undefined,
  isTerminating: undefined,
})

export function keepNamespace({ metadata }: KubeObject): LabelledNamespace {
  const labels = metadata['labels'] as Readonly<Record<string, string>> | null | undefined
  const label = labels?.[INJECTION_LABEL.key]
  const { annotations } = keepOwnAnnotations(metadata.annotations)
  if (label === undefined && Object.keys(annotations).length === 0) return UNLABELLED
  const isTerminating = metadata['deletionTimestamp'] === undefined ? undefined : true
  return { annotations, label, isTerminating }
}

/** The result for one Namespace; `failed` is tried again. */
type LabelResult = 'label-added' | 'label-removed' | 'failed'

export interface NamespaceLabelsDeps {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly note: (result: LabelResult) => void
}

export interface NamespaceLabels {
  /** Namespaces whose label is not what their annotations require. */
  readonly outOfSync: number
  /** Takes a Namespace from the watch; undefined: it was deleted. */
  observe(name: string, namespace: LabelledNamespace | undefined): void
  stop(): void
}

/** Maximum delay of the first attempt: replicas do not act at the same time, and events often come in series. */
const FIRST_TRY_MS = 2000
/** Between two Namespaces: after a restore there may be thousands, and the apiserver has other clients. */
const PACE_MS = 200
const BACKOFF_MS = { first: 5000, cap: 300_000 } as const

interface Waiting {
  dueMs: number
  failures: number
}

/**
 * Corrects the label of Namespaces whose annotations changed while the webhook was not called: before nocreds was
 * installed, by a restore, while its configuration did not exist. All others are labelled at the admission
 * of their own change.
 *
 * Each replica does this. After a change in between, the patch fails at its test of the resourceVersion; then
 * the watch delivers the new state, which is mostly in sync. One Namespace at a time, at most one in 200 ms.
 */
export function createNamespaceLabels(deps: NamespaceLabelsDeps): NamespaceLabels {
  return new PacedSync(deps)
}

class PacedSync implements NamespaceLabels {
  readonly #deps: NamespaceLabelsDeps
  /** By name. */
  readonly #waiting = new Map<string, Waiting>()
  #cancel: Cancel | undefined
  #isBusy = false
  #isStopped = false

  constructor(deps: NamespaceLabelsDeps) {
    this.#deps = deps
  }

  get outOfSync(): number {
    return this.#waiting.size
  }

  observe(name: string, namespace: LabelledNamespace | undefined): void {
    if (namespace === undefined || namespace.isTerminating === true || isInSync(namespace)) {
      this.#waiting.delete(name)
      return
    }
    const { clock, random } = this.#deps
    const dueMs = clock.monotonic() + random() * FIRST_TRY_MS
    this.#waiting.set(name, { dueMs, failures: 0, ...this.#waiting.get(name) })
    this.#arm()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  /** Sets the timer for the next one. */
  #arm(): void {
    this.#cancel?.()
    if (this.#isBusy || this.#isStopped || this.#waiting.size === 0) return
    const { clock } = this.#deps
    const dueMs = Math.min(...Array.from(this.#waiting.values(), (one) => one.dueMs))
    this.#cancel = clock.after(Math.max(PACE_MS, dueMs - clock.monotonic()), () => {
      this.#isBusy = true
      void this.#next().finally(() => {
        this.#isBusy = false
        this.#arm()
      })
    })
  }

  async #next(): Promise<void> {
    const [name, task] = earliest(this.#waiting)
    if (name === undefined || task === undefined) return
    try {
      const result = await syncLabel(name, this.#deps)
      // Unless the watch delivered another state in the meantime.
      if (this.#waiting.get(name) === task) this.#waiting.delete(name)
      if (result !== undefined) this.#deps.note(result)
    } catch (error) {
      this.#putOff(name, task, error)
    }
  }

  #putOff(name: string, task: Waiting, error: unknown): void {
    const { clock, random, log, note } = this.#deps
    task.dueMs = clock.monotonic() + backoffMs(task.failures, random)
    task.failures += 1
    // Someone else changed it, most likely another replica making the same change.
    if (isLostRace(error) && task.failures === 1) return
    note('failed')
    log.warn(
      { namespace: name, error: messageOf(error), attempt: task.failures },
      'sync of namespace label failed',
    )
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

/** Reads the whole Namespace first, because the cache keeps only part of it. @throws KubeError */
async function syncLabel(
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
  log.info({ namespace: name, result }, 'namespace label synced')
  warnOfInvalid(namespace, name, log)
  return result
}

/** The author got no message when it was written. */
function warnOfInvalid(namespace: Namespace, name: string, log: Logger): void {
  const verdict = decideNamespace({ namespace, before: undefined })
  if (verdict.decision !== 'denied') return
  log.warn(
    { namespace: name, reason: verdict.reason, error: verdict.message },
    'namespace has invalid annotations, which permit nothing',
  )
}
