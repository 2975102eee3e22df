import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

/** Seconds: from a cached decision to the deadline. */
const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 4]

/** What /metrics shows; gauges are read at each scrape. */
export interface MetricSources {
  cacheObjects(): Readonly<Record<string, number>>
  /** Namespaces whose label is not what their annotations require. */
  namespacesOutOfSync?(): number
  /** Milliseconds since the epoch. */
  certificateExpiresAtMs(): number | undefined
  /** True if the apiserver's own audience is one that nocreds guards. */
  readonly isClusterAudienceGuarded?: boolean
}

export interface Metrics {
  readonly registry: Registry
  countRequest(labels: { resource: string; result: string; reason: string }): void
  observeDuration(resource: string, seconds: number): void
  /** A Namespace whose label was out of sync. */
  countLabel(result: string): void
  /** A ServiceAccount taken from the cache because the apiserver did not answer in time. */
  countFromMemory(): void
}

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const { requests, duration } = metricsOfReviews(registers)
  addCacheGauge(registers, sources)
  const labels = new Counter({
    name: 'nocreds_namespace_labels_total',
    help: 'Namespaces whose label was not what their annotations require, by what was done',
    labelNames: ['result'],
    registers,
  })
  const fromMemory = new Counter({
    name: 'nocreds_service_accounts_from_memory_total',
    help: 'ServiceAccounts taken from the cache because the apiserver did not answer in time',
    registers,
  })
  addStateGauges(registers, sources)
  return {
    registry,
    countRequest(labels) {
      requests.inc(labels)
    },
    observeDuration(resource, seconds) {
      duration.observe({ resource }, seconds)
    },
    countLabel(result) {
      labels.inc({ result })
    },
    countFromMemory() {
      fromMemory.inc()
    },
  }
}

interface ReviewMetrics {
  readonly requests: Counter<'resource' | 'result' | 'reason'>
  readonly duration: Histogram<'resource'>
}

function metricsOfReviews(registers: Registry[]): ReviewMetrics {
  const requests = new Counter({
    name: 'nocreds_admission_requests_total',
    help: 'Admission reviews by resource, result and reason',
    labelNames: ['resource', 'result', 'reason'],
    registers,
  })
  const duration = new Histogram({
    name: 'nocreds_admission_duration_seconds',
    help: 'Time from the whole request to the answer',
    labelNames: ['resource'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  return { requests, duration }
}

function addCacheGauge(registers: Registry[], sources: MetricSources): void {
  new Gauge({
    name: 'nocreds_cache_objects',
    help: 'Objects in the cache',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const [kind, count] of Object.entries(sources.cacheObjects())) this.set({ kind }, count)
    },
  })
}

/** Gauges of what an operator may have to repair. */
function addStateGauges(registers: Registry[], sources: MetricSources): void {
  new Gauge({
    name: 'nocreds_namespaces_out_of_sync',
    help: 'Namespaces whose label is not what their annotations require',
    registers,
    collect() {
      this.set(sources.namespacesOutOfSync?.() ?? 0)
    },
  })
  new Gauge({
    name: 'nocreds_webhook_certificate_expiry_timestamp_seconds',
    help: 'When the serving certificate of the webhook expires',
    registers,
    collect() {
      const expiresAtMs = sources.certificateExpiresAtMs()
      if (expiresAtMs !== undefined) this.set(expiresAtMs / 1000)
    },
  })
  new Gauge({
    name: 'nocreds_webhook_cluster_audience_guarded',
    help: "1 if the apiserver's own audience is a guarded one, so that every pod has a token for it",
    registers,
  }).set(sources.isClusterAudienceGuarded === true ? 1 : 0)
}
