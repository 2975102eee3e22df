import { AUTHORITY, AUTHORITY_VOLUME } from '../contract/certificates.ts'
import { DRIVER } from '../contract/driver.ts'
import * as values from '../contract/values.ts'
import { LOG_LEVELS } from '../shared/base/log.ts'
import { flag, port, readFlags, usageOf, type Config } from '../shared/server/flags.ts'
import { refuseContradictoryStsFlags, STS_FLAGS } from '../shared/server/sts-flags.ts'

/** A folder of the host. Target paths are compared with it as text, so there is one spelling of it. */
const folder = values.text(
  'an absolute path without . or .. and without a slash at its end',
  (value) => value.length <= 1024 && /^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/.test(value),
)

/** Every flag of the driver; --help and docs/reference/flags.md are generated from it. */
export const FLAGS = {
  node: flag(values.objectName, { required: true, help: 'name of the node' }),
  'kubelet-folder': flag(folder, {
    default: '/var/lib/kubelet',
    help: 'root folder of the kubelet on the node (its --root-dir), mounted at the same path',
  }),
  ...STS_FLAGS,
  'cluster-arn': flag(values.clusterArn, {
    help: 'ARN of the cluster, for the session tag eks-cluster-arn; without it that tag is not sent',
  }),
  'cluster-name': flag(values.clusterName, {
    help: 'name of the cluster, for the session tag eks-cluster-name; without it that tag is not sent',
  }),
  'authority-url': flag(values.httpsUrl, {
    default: `https://${AUTHORITY.host}`,
    help: 'authority that is asked for certificates; must equal authorityUrl of nocreds-settings',
  }),
  'trust-bundle-file': flag(values.absolutePath, {
    default: `${AUTHORITY_VOLUME.mountPath}/${AUTHORITY_VOLUME.files.trustBundle}`,
    help: 'CAs that verify the authority for the first request: the mounted trust bundle, PEM',
  }),
  'metrics-port': flag(port, {
    default: DRIVER.metricsPort,
    help: 'port of metrics and probes (plain HTTP); no metric names a role, a namespace or a pod',
  }),
  'log-level': flag(values.oneOf(...LOG_LEVELS), {
    default: 'info',
    help: 'least severe level that is logged',
  }),
} as const

export type DriverConfig = Config<typeof FLAGS>

/**
 * Reads the command line (without node and program).
 *
 * @throws UsageError that names the flag, its value and what is allowed
 */
export function parseFlags(argv: readonly string[]): DriverConfig {
  const config = readFlags(FLAGS, argv)
  refuseContradictoryStsFlags(config)
  return config
}

/** The text of --help. */
export function usage(): string {
  return usageOf(
    'nocreds driver: publishes credentials and certificates into the volumes of a node',
    FLAGS,
  )
}
