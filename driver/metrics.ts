import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { Clock } from '../shared/base/clock.ts'
import { codeOf } from '../shared/base/errors.ts'

/** What is exchanged for a token. */
type Exchanged = 'credentials' | 'certificate'

/** Seconds: from an STS in the cluster to one that hangs until its limit. */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** No label names a role, a namespace or a pod: everyone who reaches the node may read them. */
export interface Metrics {
  readonly registry: Registry
  /** Counts and times one exchange. @throws what it throws */
  timed<T>(what: Exchanged, exchange: () => Promise<T>): Promise<T>
  countPublish(result: 'ok' | 'failed', reason: string): void
}

export function createMetrics(clock: Clock, podCount: () => number): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const { exchanges, duration } = metricsOfExchanges(registers)
  const publishes = new Counter({
    name: 'nocreds_driver_publishes_total',
    help: "The kubelet's publishes of volumes by result and reason; it publishes each again every minute or two",
    labelNames: ['result', 'reason'],
    registers,
  })
  new Gauge({
    name: 'nocreds_driver_pods',
    help: 'Pods of this node that the driver serves',
    registers,
    collect() {
      this.set(podCount())
    },
  })
  return {
    registry,
    async timed(item, exchange) {
      const startMs = clock.monotonic()
      try {
        const result = await exchange()
        exchanges.inc({ item, result: 'ok', reason: '' })
        return result
      } catch (error) {
        exchanges.inc({ item, result: 'failed', reason: codeOf(error) ?? 'InternalError' })
        throw error
      } finally {
        duration.observe({ item }, (clock.monotonic() - startMs) / 1000)
      }
    },
    countPublish(result, reason) {
      publishes.inc({ result, reason })
    },
  }
}

interface ExchangeMetrics {
  readonly exchanges: Counter<'item' | 'result' | 'reason'>
  readonly duration: Histogram<'item'>
}

function metricsOfExchanges(registers: Registry[]): ExchangeMetrics {
  const exchanges = new Counter({
    name: 'nocreds_driver_exchanges_total',
    help: 'Exchanges of a token by what it is exchanged for, result and reason',
    labelNames: ['item', 'result', 'reason'],
    registers,
  })
  const duration = new Histogram({
    name: 'nocreds_driver_exchange_duration_seconds',
    help: 'Time of an exchange, failed ones too',
    labelNames: ['item'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  return { exchanges, duration }
}
