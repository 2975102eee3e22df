import { createMetrics as metricsOfAuthority } from '../../../authority/metrics.ts'
import {
  CERTIFICATE_SOURCE_NAMES,
  CERTIFICATE_SOURCES,
} from '../../../contract/certificate-source.ts'
import { AUTHORITY } from '../../../contract/certificates.ts'
import { DRIVER } from '../../../contract/driver.ts'
import { PROBES, WEBHOOK } from '../../../contract/names.ts'
import { createMetrics as metricsOfDriver } from '../../../driver/metrics.ts'
import { realClock } from '../../../shared/base/clock.ts'
import { jsonLogger } from '../../../shared/base/log.ts'
import { countRefusals, type RefusalReason } from '../../../shared/server/budget/refusals.ts'
import { createMetrics as metricsOfWebhook } from '../../../webhook/serve/metrics.ts'
import { code, header, section, table } from './markdown.ts'

type Registry = ReturnType<typeof metricsOfWebhook>['registry']

const WHY_REFUSED: Readonly<Record<RefusalReason, string>> = {
  connections: 'too many connections, in total or from one address',
  'body-bytes': 'too many bytes of request bodies in memory',
  deadline: 'handshake, request or answer took too long',
  pipelining: 'the client sent a request before the answer to the one before',
}

/** Values of labels that are not obvious. */
const LABELS: Readonly<Record<string, string>> = {
  resource: '`pods`, `namespaces`',
  reason:
    'see [reasons](reasons.md) and [events](events.md); of `nocreds_connections_refused_total` see below',
  kind: '`ServiceAccount`, `Namespace`',
  result:
    'of admission reviews: `mutated`, `unchanged`, `denied`; of Namespace labels: `label-added`, `label-removed`, `failed`; of certificates: `issued`, `refused`, `failed`; of the driver: `ok`, `failed`',
  item: '`credentials`, `certificate`',
  source: CERTIFICATE_SOURCE_NAMES.map(
    (source) => `${code(source)} (the ${CERTIFICATE_SOURCES[source].requestedBy} asked)`,
  ).join(' or '),
  certificate: '`root`, `intermediate`, `server`',
  server: '`admission`, `certificates` or `metrics`',
}

interface Metric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly labelNames?: readonly string[]
}

function withRefusals(registry: Registry): Metric[] {
  const log = jsonLogger(
    () => undefined,
    () => 0,
  )
  countRefusals(registry, { clock: realClock, log })
  return registry.getMetricsAsArray() as readonly object[] as Metric[]
}

function metricTable(metrics: readonly Metric[]): string {
  return table(
    ['metric', 'type', 'labels', 'what'],
    metrics.map(({ name, type, labelNames = [], help }) => [
      code(name),
      type,
      labelNames.map(code).join(', '),
      help,
    ]),
  )
}

export function metricsPage(): string {
  const webhook = withRefusals(
    metricsOfWebhook({ cacheObjects: () => ({}), certificateExpiresAtMs: () => undefined })
      .registry,
  )
  const authority = withRefusals(metricsOfAuthority({ expiries: () => undefined }).registry)
  const driver = withRefusals(metricsOfDriver(realClock, () => 0).registry)
  const used = new Set(
    [...webhook, ...authority, ...driver].flatMap(({ labelNames = [] }) => labelNames),
  )
  const { metrics, live, ready } = PROBES
  const port = (number: number): string =>
    `Port ${number}, plain HTTP: \`${metrics}\`, \`${live}\`, \`${ready}\`.`
  return [
    header(
      'Metrics',
      'In the text format of Prometheus. Nothing secret is in them. What to alert on: [operations](../operations.md#monitor).',
    ),
    section('Webhook', port(WEBHOOK.metricsPort), metricTable(webhook)),
    section('Authority', port(AUTHORITY.metricsPort), metricTable(authority)),
    section('Driver', port(DRIVER.metricsPort), metricTable(driver)),
    section(
      'Labels',
      table(
        ['label', 'values'],
        [...used].map((label) => {
          const values = LABELS[label]
          if (values === undefined)
            throw new Error(`tools/build/reference/metrics.ts: label ${label}?`)
          return [code(label), values]
        }),
      ),
    ),
    section(
      'Refused connections',
      table(
        ['reason', 'what'],
        Object.entries(WHY_REFUSED).map(([reason, what]) => [code(reason), what]),
      ),
    ),
  ].join('')
}
