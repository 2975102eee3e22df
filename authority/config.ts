import { AUTHORITY } from '../contract/certificates.ts'
import { DEFAULT_CLUSTER_DOMAIN, isDnsName } from '../contract/dns-names.ts'
import { DRIVER } from '../contract/driver.ts'
import * as values from '../contract/values.ts'
import type { ValueKind } from '../contract/values.ts'
import { UsageError } from '../shared/base/errors.ts'
import { LOG_LEVELS } from '../shared/base/log.ts'
import { flag, port, readFlags, usageOf, type Config } from '../shared/server/flags.ts'

const DAY_SECONDS = 86_400

/** Source: SPIFFE, "SPIFFE ID", section 2.1. */
const trustDomain: ValueKind<string> = {
  allowed: 'a SPIFFE trust domain: 1–255 of a-z, 0-9, ".", "-" and "_"',
  parse: (text) => (/^[a-z0-9._-]{1,255}$/.test(text) ? text : undefined),
  format: (text) => text,
}

const dnsName: ValueKind<string> = {
  allowed: 'a host name in lower case, without wildcards',
  parse: (text) => (isDnsName(text) ? text : undefined),
  format: (text) => text,
}

/** Every flag of the authority; --help and docs/reference/flags.md are generated from it. */
export const FLAGS = {
  'trust-domain': flag(trustDomain, {
    default: 'cluster.local',
    help: 'first part of every identity: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT',
  }),
  'cluster-domain': flag(values.clusterDomain, {
    default: DEFAULT_CLUSTER_DOMAIN,
    help: "domain of the cluster's own DNS names; must be the same as the webhook's",
  }),
  'max-lifetime-seconds': flag(values.seconds(60, DAY_SECONDS), {
    default: DAY_SECONDS,
    help: 'maximum lifetime of a certificate, whatever is requested (certificates of the kubelet have at least an hour)',
  }),
  'intermediate-lifetime-seconds': flag(values.seconds(240, 3650 * DAY_SECONDS), {
    default: 90 * DAY_SECONDS,
    help: 'lifetime of the signing intermediate, renewed after two thirds of it; at least 4 times --max-lifetime-seconds',
  }),
  'root-lifetime-seconds': flag(values.seconds(960, 36_500 * DAY_SECONDS), {
    default: 3650 * DAY_SECONDS,
    help: 'lifetime of the root, renewed after two thirds of it; at least 4 times --intermediate-lifetime-seconds',
  }),
  'overlap-seconds': flag(values.seconds(5, DAY_SECONDS), {
    default: 900,
    help: 'time between adding a new root to the bundle and issuing the first certificate below it; at most a quarter of --intermediate-lifetime-seconds',
  }),
  'ca-secret': flag(values.objectName, {
    default: 'nocreds-authority-ca',
    help: 'Secret that the replicas share',
  }),
  'extra-server-name': flag(dnsName, {
    help: "additional name in the authority's own certificate, if --authority-url of the webhook is not the Service; never issued to workloads",
  }),
  'driver-namespace': flag(values.objectName, {
    default: DRIVER.namespace,
    help: 'namespace of the driver, which gets the trust bundle without being enabled; another one needs a change of the guard (nocreds-control-parts-authority)',
  }),
  port: flag(port, { default: AUTHORITY.port, help: 'port for requests of pods (TLS)' }),
  'metrics-port': flag(port, {
    default: AUTHORITY.metricsPort,
    help: 'port of metrics and probes (plain HTTP)',
  }),
  'log-level': flag(values.oneOf(...LOG_LEVELS), {
    default: 'info',
    help: 'minimum level that is logged; issued certificates are logged as info, refusals as warn',
  }),
} as const

export type AuthorityConfig = Config<typeof FLAGS>

/**
 * Reads the command line (without node and program).
 *
 * @throws UsageError that names the flag, its value and what is allowed
 */
export function parseFlags(argv: readonly string[]): AuthorityConfig {
  const config = readFlags(FLAGS, argv)
  requireAtLeast(config, 'intermediate-lifetime-seconds', 'max-lifetime-seconds')
  requireAtLeast(config, 'root-lifetime-seconds', 'intermediate-lifetime-seconds')
  requireAtLeast(config, 'intermediate-lifetime-seconds', 'overlap-seconds')
  return config
}

/** A CA is renewed after two thirds of its lifetime; what it signed must fit into the last third. */
const MIN_RATIO = 4

type Seconds =
  | 'max-lifetime-seconds'
  | 'intermediate-lifetime-seconds'
  | 'root-lifetime-seconds'
  | 'overlap-seconds'

function requireAtLeast(config: AuthorityConfig, longer: Seconds, shorter: Seconds): void {
  const min = config[shorter] * MIN_RATIO
  if (config[longer] >= min) return
  throw new UsageError(
    `--${longer} is ${config[longer]}; allowed: at least ${MIN_RATIO} times --${shorter}, which is ${min}`,
  )
}

/** The text of --help. */
export function usage(): string {
  return usageOf('nocreds authority: issues certificates to workloads', FLAGS)
}
