/** Test double: a small cluster, reviews, and dependencies that record. Never shipped. */
import type { Clock } from '../../shared/base/clock.ts'
import { realClock } from '../../shared/base/clock.ts'
import type { LogFields, Logger } from '../../shared/base/log.ts'
import type { Annotated, ClusterReader } from '../../webhook/cluster/types.ts'
import type { AnswerDeps } from '../../webhook/serve/answer.ts'
import { createMetrics } from '../../webhook/serve/metrics.ts'
import { recordOutput } from '../leak-check.ts'
import { SETTINGS } from './webhook-settings.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'

/** One namespace that permits one role, one ServiceAccount that asks for it. */
export const CLUSTER: ClusterReader = {
  serviceAccount: (namespace, name) =>
    Promise.resolve(
      namespace === 'team-a' && name === 'app'
        ? annotated({ 'nocreds.dev/role-arn': ROLE })
        : undefined,
    ),
  namespace: (name) =>
    Promise.resolve(
      name === 'team-a' ? annotated({ 'nocreds.dev/permitted-roles': ROLE }) : undefined,
    ),
  ready: true,
  counts: () => ({ ServiceAccount: 1, Namespace: 1 }),
}

function annotated(annotations: Record<string, string>): Annotated {
  return { annotations }
}

export interface Recorded {
  readonly deps: AnswerDeps
  readonly lines: LogFields[]
}

/** Dependencies of an answer; what was logged can be read. */
export function recordedDeps(cluster: ClusterReader = CLUSTER, clock: Clock = realClock): Recorded {
  const lines: LogFields[] = []
  const keep = (fields: LogFields, msg: string): void => {
    lines.push({ ...fields, msg })
    recordOutput(JSON.stringify({ ...fields, msg }))
  }
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  const metrics = createMetrics({
    cacheObjects: () => cluster.counts(),
    certificateExpiresAtMs: () => undefined,
  })
  return { deps: { cluster, settings: SETTINGS, metrics, log, clock }, lines }
}

/** A Pod's review as the apiserver sends it. */
export function podReview(uid = 'u-1', pod: object = {}, request: object = {}): object {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'team-a',
      dryRun: false,
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { generateName: 'app-' },
        spec: { serviceAccountName: 'app', containers: [{ name: 'app', image: 'example/app:1' }] },
        ...pod,
      },
      oldObject: null,
      ...request,
    },
  }
}
