import type { Server as HttpsServer } from 'node:https'
import { AUTHORITY } from '../contract/certificates.ts'
import type { Clock, Random } from '../shared/base/clock.ts'
import { UsageError } from '../shared/base/errors.ts'
import type { Logger } from '../shared/base/log.ts'
import type { RecordRefusal } from '../shared/server/budget/refusals.ts'
import type { KubeClient } from '../shared/server/kube/kube-client.ts'
import { openServers, type RunningServers } from '../shared/server/servers.ts'
import type { Settings } from './admit/decide-pod.ts'
import { createCachedReader } from './cluster/cached-reader.ts'
import { findCertificateSource, findTrustBundle } from './cluster/certificate-source.ts'
import { readObjects } from './cluster/objects-file.ts'
import { OWN_TOKEN_FILE } from './cluster/own-audience.ts'
import type { ClusterReader } from './cluster/types.ts'
import type { WebhookConfig } from './config.ts'
import { createAdmissionServer, OLDEST_TLS, type ServerTls } from './serve/admission-server.ts'
import type { AnswerDeps } from './serve/answer.ts'
import { createMetrics, type Metrics } from './serve/metrics.ts'
import { isClusterAudienceGuarded, warnOfDefaultDelivery } from './start-checks.ts'
import { watchClientCa } from './tls/client-ca.ts'
import { createFilesSource } from './tls/files.ts'
import { createSelfManagedSource } from './tls/self-managed.ts'
import type { ServingCertificateSource } from './tls/source.ts'

export interface WebhookDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Undefined in standalone mode with certificate files: then no cluster is needed. */
  readonly kube: KubeClient | undefined
  /** The webhook's own token; default: where the kubelet puts it. */
  readonly ownTokenFile?: string
}

/**
 * Starts the webhook: probes at once, admission as soon as there is a certificate. Ready once
 * certificate, caBundle and caches are in place.
 *
 * @throws UsageError for flags that do not work; Node's error for a port in use
 */
export async function startWebhook(
  config: WebhookConfig,
  deps: WebhookDeps,
): Promise<RunningServers> {
  const { clock, log } = deps
  const certificates = openCertificates(config, deps)
  const isGuarded = await runStartChecks(config, deps)
  const metrics: Metrics = createMetrics({
    cacheObjects: () => cluster.reader.counts(),
    namespacesOutOfSync: () => cluster.namespacesOutOfSync(),
    certificateExpiresAtMs: () => certificates.current()?.expiresAtMs,
    isClusterAudienceGuarded: isGuarded,
  })
  const cluster = await openCluster(config, deps, metrics)
  const mayServe = !isGuarded || config['accept-cluster-audience'] === 'true'
  const servers = await openServers({
    program: 'webhook',
    registry: metrics.registry,
    metricsPort: config['metrics-port'],
    isReady: () => mayServe && certificates.ready && cluster.reader.ready,
    clock,
    log,
  })
  const tls = await startTls(config, deps, certificates).catch((error: unknown) => {
    void servers.close()
    throw error
  })
  const settings = await findSettings(config, deps)
  const answering = { cluster: cluster.reader, settings, metrics, log, clock }
  const isStandalone = config.objects !== undefined
  return servers.serve(openAdmission(tls, answering, servers.recordRefusal), {
    port: config.port,
    drains: !isStandalone,
    fields: { standalone: isStandalone },
    stop() {
      tls.stop()
      cluster.stop()
    },
  })
}

/** Checks of the cluster before anything is served. */
function runStartChecks(config: WebhookConfig, { log, ...deps }: WebhookDeps): Promise<boolean> {
  warnOfDefaultDelivery(config, log)
  if (deps.kube === undefined) return Promise.resolve(false)
  return isClusterAudienceGuarded(config, deps.ownTokenFile ?? OWN_TOKEN_FILE, log)
}

/** The settings of the flags; what they leave open is found in the cluster. */
async function findSettings(config: WebhookConfig, deps: WebhookDeps): Promise<Settings> {
  return {
    certificateSource: await findCertificateSource(config['certificate-source'], deps),
    trustBundle: await findTrustBundle(config['trust-bundle'], deps),
    exchangerImage: config['exchanger-image'],
    exchangerImages: config['exchanger-images'] ?? [],
    exchangerImagePullPolicy: config['exchanger-image-pull-policy'],
    exchangerUser: config['exchanger-user'],
    exchangerResources: config['exchanger-resources'],
    meshProxies: config['mesh-proxies'],
    stsEndpoint: config['sts-endpoint'],
    stsProxy: config['sts-proxy'],
    stsNoProxy: config['sts-no-proxy'],
    stsCa: config['sts-ca'],
    baseRoleArn: config['base-role-arn'],
    clusterArn: config['cluster-arn'],
    clusterName: config['cluster-name'],
    authorityUrl: config['authority-url'],
    clusterDomain: config['cluster-domain'],
    audience: config.audience,
    delivery: config['default-delivery'],
    exchanger: config['default-exchanger'],
    driverAudiences: config['driver-audiences'] ?? [config.audience, AUTHORITY.audience],
    region: config['default-region'],
  }
}

interface OpenCluster {
  readonly reader: ClusterReader
  /** Namespaces whose label is not what their annotations require. */
  namespacesOutOfSync(): number
  stop(): void
}

async function openCluster(
  config: WebhookConfig,
  { kube, ...deps }: WebhookDeps,
  metrics: Metrics,
): Promise<OpenCluster> {
  if (config.objects !== undefined) {
    const reader = await readObjects(config.objects)
    return { reader, namespacesOutOfSync: () => 0, stop: () => undefined }
  }
  if (kube === undefined) throw new UsageError('a cluster is needed without --objects')
  const noteLabel = metrics.countLabel.bind(metrics)
  const noteFromMemory = metrics.countFromMemory.bind(metrics)
  const reader = createCachedReader({ ...deps, kube, noteLabel, noteFromMemory })
  reader.start()
  return {
    reader,
    namespacesOutOfSync: () => reader.namespacesOutOfSync,
    stop() {
      reader.stop()
    },
  }
}

function openCertificates(
  config: WebhookConfig,
  { kube, clock, log }: WebhookDeps,
): ServingCertificateSource {
  const { 'tls-cert': certFile, 'tls-key': keyFile } = config
  if (certFile !== undefined && keyFile !== undefined) {
    return createFilesSource({ certFile, keyFile, clock, log })
  }
  if (kube === undefined) throw new UsageError('--tls self-managed needs a cluster')
  return createSelfManagedSource({
    kube,
    namespace: config.namespace,
    service: config.service,
    secretName: config['tls-secret'],
    webhookConfiguration: config['webhook-configuration'],
    leafLifetimeSeconds: config['leaf-lifetime-seconds'],
    caLifetimeSeconds: config['ca-lifetime-seconds'],
    clock,
    log,
  })
}

/** Both sides of the server's TLS: its own certificate, and the CAs of accepted clients. */
interface Tls {
  current(): ServerTls
  onChange(listener: () => void): void
  stop(): void
}

/** The admission server, which follows changes of its TLS. */
function openAdmission(tls: Tls, deps: AnswerDeps, recordRefusal: RecordRefusal): HttpsServer {
  const server = createAdmissionServer(tls.current(), deps, recordRefusal)
  tls.onChange(() => {
    server.setSecureContext({ ...tls.current(), ...OLDEST_TLS })
  })
  return server
}

async function startTls(
  config: WebhookConfig,
  { clock, log }: WebhookDeps,
  certificates: ServingCertificateSource,
): Promise<Tls> {
  const file = config['client-ca']
  const clientCa = file === undefined ? undefined : watchClientCa(file, clock, log)
  await clientCa?.start()
  await certificates.start()
  return {
    current() {
      const serving = certificates.current()
      const ca = clientCa?.current()?.bundlePem
      return { cert: serving?.certPem, key: serving?.keyPem, ...(ca === undefined ? {} : { ca }) }
    },
    onChange(listener) {
      certificates.onChange(listener)
      clientCa?.onChange(listener)
    },
    stop() {
      certificates.stop()
      clientCa?.stop()
    },
  }
}
