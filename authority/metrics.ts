import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { CertificateSource } from '../contract/certificate-source.ts'
import type { Signer } from './signer.ts'

/** Seconds: three calls to the apiserver and two signatures, up to their time limits. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10]

export interface Metrics {
  readonly registry: Registry
  /** @param reason empty if a certificate was issued */
  count(source: CertificateSource, result: 'issued' | 'refused' | 'failed', reason: string): void
  observe(source: CertificateSource, seconds: number): void
}

export function createMetrics({ expiries }: Pick<Signer, 'expiries'>): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const requests = new Counter({
    name: 'nocreds_certificate_requests_total',
    help: 'Requests for a certificate by source, result and reason',
    labelNames: ['source', 'result', 'reason'],
    registers,
  })
  const duration = new Histogram({
    name: 'nocreds_certificate_duration_seconds',
    help: 'Time from the complete request to the response',
    labelNames: ['source'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  new Gauge({
    name: 'nocreds_authority_certificate_expiry_timestamp_seconds',
    help: 'Expiry of the newest root, the intermediate and the certificate of the authority itself',
    labelNames: ['certificate'],
    registers,
    collect() {
      for (const [certificate, ms] of Object.entries(expiries() ?? {})) {
        this.set({ certificate }, ms / 1000)
      }
    },
  })
  return {
    registry,
    count(source, result, reason) {
      requests.inc({ source, result, reason })
    },
    observe(source, seconds) {
      duration.observe({ source }, seconds)
    },
  }
}
