import { CERTIFICATE_SOURCE_NAMES } from '../contract/certificate-source.ts'
import { AUTHORITY } from '../contract/certificates.ts'
import { delivery, TOKEN_DELIVERIES } from '../contract/delivery.ts'
import { DEFAULT_CLUSTER_DOMAIN } from '../contract/dns-names.ts'
import { DEFAULT_EXCHANGER_RESOURCES, exchangerResources } from '../contract/exchanger-resources.ts'
import { DEFAULT_EXCHANGER, exchanger } from '../contract/exchangers.ts'
import { PULL_POLICIES } from '../contract/image.ts'
import { DEFAULT_AUDIENCE, DEFAULT_MESH_PROXIES, EXCHANGER, WEBHOOK } from '../contract/names.ts'
import { DEFAULT_TAG } from '../contract/session-tags.ts'
import * as values from '../contract/values.ts'
import { UsageError } from '../shared/base/errors.ts'
import { LOG_LEVELS } from '../shared/base/log.ts'
import { flag, port, readFlags, text, usageOf, type Config } from '../shared/server/flags.ts'
import { refuseContradictoryStsFlags, STS_FLAGS } from '../shared/server/sts-flags.ts'
import { TRUST_BUNDLE_SOURCES } from './admit/inject/injection.ts'

const DAY_SECONDS = 86_400

/** Every flag of the webhook; --help and docs/reference/flags.md are made of it. */
export const FLAGS = {
  'exchanger-image': flag(text, { required: true, help: 'image of the injected sidecar' }),
  'exchanger-images': flag(values.images, {
    help: 'further images that an existing sidecar may have, such as the former one or the name that a mirror gives it',
  }),
  'exchanger-image-pull-policy': flag(values.oneOf(...PULL_POLICIES), {
    default: 'IfNotPresent',
    help: 'imagePullPolicy of the injected sidecar; Always: for clusters with AlwaysPullImages, or a moving tag',
  }),
  'exchanger-resources': flag(exchangerResources, {
    default: DEFAULT_EXCHANGER_RESOURCES,
    help: 'requests and limits of the injected sidecar; names that are absent are not set',
  }),
  'exchanger-user': flag(values.exchangerUser, {
    default: EXCHANGER.userId,
    help: 'uid and gid of the injected sidecar; platform: neither is set, for platforms that give each namespace a range',
  }),
  'mesh-proxies': flag(values.containerNames, {
    default: DEFAULT_MESH_PROXIES,
    help: 'native sidecars after which the injected one starts: proxies of service meshes',
  }),
  tls: flag(values.oneOf('self-managed', 'files'), {
    default: 'self-managed',
    help: 'self-managed: own CA and certificate in a Secret that the replicas share; files: files that are watched',
  }),
  'tls-cert': flag(text, { help: 'file of the certificate chain in PEM, with --tls files' }),
  'tls-key': flag(text, { help: 'file of the private key in PEM, with --tls files' }),
  'client-ca': flag(text, {
    help: 'file of CA certificates in PEM, watched: only clients with a certificate from one of them are accepted',
  }),
  'tls-secret': flag(values.objectName, {
    default: 'nocreds-webhook-tls',
    help: 'Secret that the replicas share, with --tls self-managed',
  }),
  'leaf-lifetime-seconds': flag(values.seconds(60, 90 * DAY_SECONDS), {
    default: 7 * DAY_SECONDS,
    help: 'lifetime of the serving certificate, renewed at two thirds of it; with --tls self-managed',
  }),
  'ca-lifetime-seconds': flag(values.seconds(600, 3650 * DAY_SECONDS), {
    default: 365 * DAY_SECONDS,
    help: 'lifetime of the CA, renewed at two thirds of it with an overlap; with --tls self-managed',
  }),
  namespace: flag(values.objectName, {
    default: 'nocreds-system',
    help: 'namespace of the webhook itself',
  }),
  service: flag(values.objectName, {
    default: 'nocreds-webhook',
    help: 'Service through which the apiserver calls it',
  }),
  'webhook-configuration': flag(values.objectName, {
    default: 'nocreds',
    help: 'MutatingWebhookConfiguration whose caBundle the webhook keeps up to date',
  }),
  objects: flag(text, {
    help: 'standalone: Namespaces and ServiceAccounts from YAML files instead of an apiserver',
  }),
  port: flag(port, { default: WEBHOOK.port, help: 'port of the admission server (TLS)' }),
  'metrics-port': flag(port, {
    default: WEBHOOK.metricsPort,
    help: 'port of metrics and probes (plain HTTP)',
  }),
  'default-region': flag(values.region, {
    help: 'region if no annotation names one, for roles of its partition',
  }),
  'base-role-arn': flag(values.baseRoleArn, {
    help: 'role ARN up to the name: annotations may then name roles below it by their name, or path and name',
  }),
  'default-delivery': flag(delivery, {
    default: 'process',
    help: `delivery if no annotation names one; ${TOKEN_DELIVERIES.join(' and ')} is denied in namespaces that do not permit it`,
  }),
  'default-exchanger': flag(exchanger, {
    default: DEFAULT_EXCHANGER,
    help: 'what serves a pod if no annotation says so; driver: pods that the driver cannot serve get the sidecar',
  }),
  'driver-audiences': flag(values.audiences, {
    help: `audiences in tokenRequests of the CSIDriver; pods with another one get the sidecar. Absent: --audience and ${AUTHORITY.audience}`,
  }),
  audience: flag(values.audience, {
    default: DEFAULT_AUDIENCE,
    help: 'token audience if no annotation names one',
  }),
  ...STS_FLAGS,
  'cluster-arn': flag(values.clusterArn, {
    help: `value of the session tag ${DEFAULT_TAG.clusterArn} of target roles; must equal clusterArn of nocreds-settings`,
  }),
  'cluster-name': flag(values.clusterName, {
    help: `value of the session tag ${DEFAULT_TAG.clusterName}; must equal clusterName of nocreds-settings`,
  }),
  'accept-cluster-audience': flag(values.flag, {
    default: 'false',
    help: "true: serve even if the apiserver's own audience is guarded, so that every pod has a token for it",
  }),
  'certificate-source': flag(values.oneOf('auto', ...CERTIFICATE_SOURCE_NAMES), {
    default: 'auto',
    help: 'where certificates come from: authority: the sidecar asks the authority of nocreds; pod-certificate: the kubelet does, by PodCertificateRequests; auto, decided at start: pod-certificate if the apiserver serves these and every node is 1.37 or newer',
  }),
  'trust-bundle': flag(values.oneOf(...TRUST_BUNDLE_SOURCES, 'auto'), {
    default: 'config-map',
    help: 'object from which volumes take the trust bundle; auto: ClusterTrustBundle if the apiserver serves it and every node is 1.37 or newer',
  }),
  'authority-url': flag(values.httpsUrl, {
    default: `https://${AUTHORITY.host}`,
    help: 'authority that sidecars ask for certificates; must equal authorityUrl of nocreds-settings',
  }),
  'cluster-domain': flag(values.clusterDomain, {
    default: DEFAULT_CLUSTER_DOMAIN,
    help: "domain of the cluster's own DNS names; must equal clusterDomain of nocreds-settings",
  }),
  'log-level': flag(values.oneOf(...LOG_LEVELS), {
    default: 'info',
    help: 'least severe level that is logged',
  }),
} as const

export type WebhookConfig = Config<typeof FLAGS>

/**
 * Reads the command line (without node and program).
 *
 * @throws UsageError that names the flag, its value and what is allowed
 */
export function parseFlags(argv: readonly string[]): WebhookConfig {
  const config = readFlags(FLAGS, argv)
  refuseContradictions(config)
  return config
}

/** Checks flags that are allowed only together. */
function refuseContradictions(config: WebhookConfig): void {
  refuseContradictoryStsFlags(config)
  const files = config.tls === 'files'
  for (const name of ['tls-cert', 'tls-key'] as const) {
    if (files && config[name] === undefined) {
      throw new UsageError(`--tls files needs --${name}, which is missing`)
    }
    if (!files && config[name] !== undefined) {
      throw new UsageError(`--${name} is only allowed with --tls files, but --tls is ${config.tls}`)
    }
  }
  if (config.objects !== undefined && !files) {
    throw new UsageError(
      '--objects needs --tls files: without an apiserver there is no Secret for a self-managed certificate',
    )
  }
}

/** The text of --help. */
export function usage(): string {
  return usageOf('nocreds webhook: the admission server', FLAGS)
}
