import { AUTHORITY, CERTIFICATE_SECONDS } from '../contract/certificates.ts'
import type { Clock, Random } from '../shared/base/clock.ts'
import type { Logger } from '../shared/base/log.ts'
import type { KubeClient } from '../shared/server/kube/kube-client.ts'
import { openServers, type RunningServers } from '../shared/server/servers.ts'
import { createCaManager, type CaManager } from './ca/manager.ts'
import { serverNames } from './ca/own-certificate.ts'
import { createCaSigner } from './ca/signer.ts'
import type { AuthorityConfig } from './config.ts'
import { createAuthorityServer } from './http/server.ts'
import { createCluster } from './identity/apiserver.ts'
import { createMetrics } from './metrics.ts'
import {
  createPodCertificateController,
  type PodCertificateController,
  type PodCertificateDeps,
} from './pod-certificates/controller.ts'
import type { PolicySettings } from './policy/policy.ts'
import { createBundleWriter, type BundleWriter } from './trust-bundle/bundle.ts'
import { createClusterBundleWriter } from './trust-bundle/cluster-bundle.ts'

export interface AuthorityDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly kube: KubeClient
}

/**
 * Starts the authority: probes immediately, the main server as soon as there is a CA. It is ready once CA, server
 * certificate and informers are available.
 *
 * @throws Node's error if a port is taken
 */
export async function startAuthority(
  config: AuthorityConfig,
  deps: AuthorityDeps,
): Promise<RunningServers> {
  const { clock, log } = deps
  const parts = createParts(config, deps)
  const { manager, bundles, clusterBundle, podCertificates, issueDeps } = parts
  const servers = await openServers({
    program: 'authority',
    registry: issueDeps.metrics.registry,
    metricsPort: config['metrics-port'],
    isReady: () => canIssue(parts, clock),
    clock,
    log,
  })
  const first = await manager.start()
  const main = createAuthorityServer(first.server, issueDeps, servers.recordRefusal)
  manager.onChange(({ server }) => {
    main.setSecureContext({ cert: server.certPem, key: server.keyPem, minVersion: 'TLSv1.2' })
    bundles.wake()
    clusterBundle.wake()
  })
  const running = await servers.serve(main, {
    port: config.port,
    stop() {
      for (const part of [manager, bundles, clusterBundle, podCertificates]) part.stop()
    },
  })
  for (const part of [bundles, clusterBundle, podCertificates]) part.start()
  return running
}

interface Parts {
  readonly manager: CaManager
  readonly bundles: BundleWriter
  readonly clusterBundle: BundleWriter
  readonly podCertificates: PodCertificateController
  readonly issueDeps: PodCertificateDeps
}

/** Nothing is started yet. */
function createParts(config: AuthorityConfig, deps: AuthorityDeps): Parts {
  const manager = createManager(config, deps)
  const signer = createCaSigner(manager.current)
  const { bundlePem } = signer
  const driverNamespace = config['driver-namespace']
  const issueDeps = {
    ...deps,
    cluster: createCluster(deps.kube),
    signer,
    names: namesOf(config),
    maxLifetimeSeconds: config['max-lifetime-seconds'],
    metrics: createMetrics(signer),
  }
  return {
    manager,
    bundles: createBundleWriter({ ...deps, bundlePem, driverNamespace }),
    clusterBundle: createClusterBundleWriter({ ...deps, bundlePem }),
    podCertificates: createPodCertificateController(issueDeps),
    issueDeps,
  }
}

function canIssue({ manager, bundles, podCertificates }: Parts, clock: Clock): boolean {
  const server = manager.current()?.server
  const hasCertificate = server !== undefined && server.expiresAtMs > clock.now()
  return hasCertificate && bundles.ready && podCertificates.ready
}

function namesOf(config: AuthorityConfig): PolicySettings {
  const extra = config['extra-server-name']
  return {
    trustDomain: config['trust-domain'],
    clusterDomain: config['cluster-domain'],
    authorityNames: extra === undefined ? [] : [extra],
  }
}

function createManager(config: AuthorityConfig, { kube, clock, log }: AuthorityDeps): CaManager {
  return createCaManager({
    kube,
    clock,
    log,
    serverNames: serverNames(namesOf(config)),
    path: `/api/v1/namespaces/${AUTHORITY.namespace}/secrets/${config['ca-secret']}`,
    policy: {
      rootLifetimeSeconds: config['root-lifetime-seconds'],
      intermediateLifetimeSeconds: config['intermediate-lifetime-seconds'],
      // Certificates for the kubelet have a lifetime of at least an hour.
      leafLifetimeSeconds: Math.max(config['max-lifetime-seconds'], CERTIFICATE_SECONDS.min),
      overlapMs: config['overlap-seconds'] * 1000,
    },
  })
}
