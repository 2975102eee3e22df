import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { ActiveCa } from './ca/manager.ts'

/** Seconds: three calls of the apiserver and two signatures, up to their time limits. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10]

/** By which way a request came: the exchanger's, or the kubelet's. */
export type Door = 'authority' | 'pod-certificate'

export interface Metrics {
  readonly registry: Registry
  /** @param reason empty where it was issued */
  count(door: Door, result: 'issued' | 'refused' | 'failed', reason: string): void
  observe(door: Door, seconds: number): void
}

export function createMetrics(current: () => ActiveCa | undefined): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const issued = new Counter({
    name: 'nocreds_certificates_issued_total',
    help: 'Requests for a certificate by door, result and reason',
    labelNames: ['door', 'result', 'reason'],
    registers,
  })
  const duration = new Histogram({
    name: 'nocreds_certificate_duration_seconds',
    help: 'Time from the whole request to the answer',
    labelNames: ['door'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  new Gauge({
    name: 'nocreds_authority_certificate_expiry_timestamp_seconds',
    help: 'When the newest root, the intermediate and the own server certificate expire',
    labelNames: ['certificate'],
    registers,
    collect() {
      const ca = current()
      if (ca === undefined) return
      this.set({ certificate: 'root' }, ca.rootExpiresAtMs / 1000)
      const intermediateMs = ca.issuer.certificate.validToDate.getTime()
      this.set({ certificate: 'intermediate' }, intermediateMs / 1000)
      this.set({ certificate: 'server' }, ca.server.expiresAtMs / 1000)
    },
  })
  return {
    registry,
    count(door, result, reason) {
      issued.inc({ door, result, reason })
    },
    observe(door, seconds) {
      duration.observe({ door }, seconds)
    },
  }
}
