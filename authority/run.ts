import { CERTIFICATE_SECONDS } from '../contract/certificates.ts'
import type { Clock, Random } from '../shared/base/clock.ts'
import type { Logger } from '../shared/base/log.ts'
import type { KubeClient } from '../shared/server/kube/kube-client.ts'
import { openServers, type RunningServers } from '../shared/server/servers.ts'
import { createCaManager, type CaManager } from './ca/manager.ts'
import { serverNames } from './ca/own-certificate.ts'
import type { AuthorityConfig } from './config.ts'
import { createAuthorityServer } from './http/server.ts'
import { createCluster } from './identity/apiserver.ts'
import { createMetrics } from './metrics.ts'
import { createPodCertificateController } from './pod-certificates/controller.ts'
import type { PolicySettings } from './policy/policy.ts'
import { createBundleWriter } from './trust-bundle/bundle.ts'
import { createClusterBundleWriter } from './trust-bundle/cluster-bundle.ts'

export interface AuthorityDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly kube: KubeClient
}

/**
 * Starts the authority: probes at once, certificates as soon as there is a CA. Ready once CA, server
 * certificate and informers are in place.
 *
 * @throws Node's error for a port that is taken
 */
export async function startAuthority(
  config: AuthorityConfig,
  deps: AuthorityDeps,
): Promise<RunningServers> {
  const { clock, log, kube } = deps
  const keeper = openKeeper(config, deps)
  const current = keeper.current.bind(keeper)
  const metrics = createMetrics(current)
  const bundlePem = (): string | undefined => current()?.bundlePem
  const bundles = createBundleWriter({ ...deps, bundlePem })
  const clusterBundle = createClusterBundleWriter({ ...deps, bundlePem })
  const issuing = {
    ...deps,
    cluster: createCluster(kube),
    current,
    names: namesOf(config),
    maxLifetimeSeconds: config['max-lifetime-seconds'],
    metrics,
  }
  const kubelets = createPodCertificateController(issuing)
  const isReady = (): boolean => {
    const server = current()?.server
    const hasCertificate = server !== undefined && server.expiresAtMs > clock.now()
    return hasCertificate && bundles.ready && kubelets.ready
  }
  const { registry } = metrics
  const metricsPort = config['metrics-port']
  const servers = await openServers({
    program: 'authority',
    registry,
    metricsPort,
    isReady,
    clock,
    log,
  })
  const first = await keeper.start()
  const certificates = createAuthorityServer(first.server, issuing, servers.note)
  keeper.onChange(({ server }) => {
    certificates.setSecureContext({
      cert: server.certPem,
      key: server.keyPem,
      minVersion: 'TLSv1.2',
    })
    bundles.wake()
    clusterBundle.wake()
  })
  const running = await servers.serve(certificates, {
    port: config.port,
    stop() {
      for (const part of [keeper, bundles, clusterBundle, kubelets]) part.stop()
    },
  })
  bundles.start()
  clusterBundle.start()
  kubelets.start()
  return running
}

function namesOf(config: AuthorityConfig): PolicySettings {
  const extra = config['extra-server-name']
  return {
    trustDomain: config['trust-domain'],
    clusterDomain: config['cluster-domain'],
    authorityNames: extra === undefined ? [] : [extra],
  }
}

function openKeeper(config: AuthorityConfig, { kube, clock, log }: AuthorityDeps): CaManager {
  return createCaManager({
    kube,
    clock,
    log,
    serverNames: serverNames(namesOf(config)),
    path: `/api/v1/namespaces/${config.namespace}/secrets/${config['ca-secret']}`,
    policy: {
      rootLifetimeSeconds: config['root-lifetime-seconds'],
      intermediateLifetimeSeconds: config['intermediate-lifetime-seconds'],
      // A kubelet's certificate lives an hour at least.
      leafLifetimeSeconds: Math.max(config['max-lifetime-seconds'], CERTIFICATE_SECONDS.min),
      overlapMs: config['overlap-seconds'] * 1000,
    },
  })
}
