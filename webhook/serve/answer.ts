import type { Cancel, Clock } from '../../shared/base/clock.ts'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { Settings } from '../admit/decide-pod.ts'
import { denied, deniedForNow, type Verdict } from '../admit/verdict.ts'
import type { ClusterReader } from '../cluster/types.ts'
import type { Metrics } from './metrics.ts'
import { reviewNamespace } from './review-namespace.ts'
import { reviewPod, type Decided } from './review-pod.ts'
import { readReview, uidOf, writeReview, type AdmissionRequest } from './review.ts'

/** What answering a review needs; all of it is passed in. */
export interface AnswerDeps {
  readonly cluster: ClusterReader
  readonly settings: Settings
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: Clock
}

export type Resource = 'pods' | 'namespaces'

/** A review as received. */
export interface ReceivedReview {
  readonly body: Buffer
  readonly resource: Resource
  readonly deadlineMs: number
  /** Called if the decision waits for the apiserver; what it throws is thrown instead of a response. */
  readonly beforeWaiting?: (() => void) | undefined
}

/**
 * Answers one AdmissionReview: read, decide, count, log, write.
 *
 * An error while deciding denies this review and no other; a decision that is late is a denial that
 * controllers retry, sent before the apiserver times out.
 *
 * @throws NocredsError if the body is not a review; what `beforeWaiting` throws
 */
export async function answerReview(
  { body, resource, deadlineMs, beforeWaiting }: ReceivedReview,
  deps: AnswerDeps,
): Promise<string> {
  const startedAt = deps.clock.monotonic()
  const request = readReview(body, resource === 'pods' ? 'Pod' : 'Namespace')
  const decision = decideInTime(request, resource, deadlineMs, deps)
  if (decision instanceof Promise) beforeWaiting?.()
  const decided = await decision
  const durationMs = deps.clock.monotonic() - startedAt
  record(request, resource, decided, { durationMs, deps })
  return writeReview(request.uid, decided.verdict)
}

/**
 * The denial of a review that is too large to be read; undefined if its start does not have the uid. The
 * apiserver drops the text of an HTTP error, but passes the message of a denial on.
 *
 * @param start of its body
 * @param why which limit it exceeds
 */
export function answerTooLarge(
  { start, resource, why }: { readonly start: string; readonly resource: Resource; why: string },
  deps: AnswerDeps,
): string | undefined {
  const uid = uidOf(start)
  if (uid === undefined) return undefined
  const what = resource === 'pods' ? 'pod' : 'Namespace'
  const message = `the ${what} is too large: as the apiserver sends it, with its managedFields, ${why}; make it smaller, for example by moving long scripts to a ConfigMap`
  const verdict = denied('review-too-large', message)
  const { decision, reason } = verdict
  deps.metrics.countRequest({ resource, result: decision, reason })
  deps.log.info({ resource, decision, reason, uid, error: message }, 'decided')
  return writeReview(uid, verdict)
}

function decideInTime(
  request: AdmissionRequest,
  resource: Resource,
  deadlineMs: number,
  deps: AnswerDeps,
): Decided | Promise<Decided> {
  const failed = (error: unknown): Decided => ({
    verdict: verdictOf(error, deps.log),
    subject: { namespace: request.namespace ?? '', name: request.name ?? '' },
  })
  try {
    if (resource === 'namespaces') return reviewNamespace(request)
    const decided = reviewPod(request, deps.cluster, deps.settings)
    // Only a decision that waits can be late: one from the cache needs no timer.
    if (!(decided instanceof Promise)) return decided
    const { expired, cancel } = deadline(deps.clock, deadlineMs)
    return Promise.race([decided, expired]).catch(failed).finally(cancel)
  } catch (error) {
    return failed(error)
  }
}

interface Deadline {
  /** Rejects at the deadline. */
  readonly expired: Promise<never>
  readonly cancel: Cancel
}

function deadline(clock: Clock, deadlineMs: number): Deadline {
  let cancel: Cancel = () => undefined
  const expired = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(deadlineMs, () => {
      reject(new NocredsError('ERR_DEADLINE', `no decision within ${deadlineMs} ms`))
    })
  })
  return { expired, cancel }
}

function verdictOf(error: unknown, log: Logger): Verdict {
  if (codeOf(error) === 'ERR_DEADLINE') {
    return deniedForNow('deadline-exceeded', 'the apiserver did not answer in time; try again')
  }
  if (codeOf(error) === 'ERR_BUSY') {
    return deniedForNow(
      'apiserver-unreachable',
      'too many reviews are waiting for the apiserver; try again',
    )
  }
  if (codeOf(error) === 'ERR_APISERVER_UNREACHABLE') {
    return deniedForNow('apiserver-unreachable', `${messageOf(error)}; try again`)
  }
  log.error({ error: messageOf(error), code: codeOf(error) }, 'decision failed')
  return deniedForNow('internal-error', 'internal error of the webhook, see its log')
}

function record(
  request: AdmissionRequest,
  resource: Resource,
  { verdict, subject }: Decided,
  { durationMs, deps }: { durationMs: number; deps: AnswerDeps },
): void {
  const { decision, reason, role } = verdict
  deps.metrics.countRequest({ resource, result: decision, reason })
  deps.metrics.observeDuration(resource, durationMs / 1000)
  deps.log.info(
    {
      resource,
      namespace: shown(subject.namespace),
      name: shown(subject.name),
      serviceAccount: shown(subject.serviceAccount),
      role,
      decision,
      reason,
      uid: shown(request.uid),
      dryRun: request.dryRun === true ? true : undefined,
      error: verdict.decision === 'denied' ? shown(verdict.message) : undefined,
    },
    'decided',
  )
}

/** Longer than any valid name, and any message about one; a hostile review may hold a name of 3 MiB. */
const MAX_SHOWN = 2000

function shown(text: string | undefined): string | undefined {
  return text !== undefined && text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
