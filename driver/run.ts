import { join } from 'node:path'
import { TLS_VOLUME } from '../contract/certificates.ts'
import { slotsOf } from '../contract/container-roles.ts'
import { DRIVER } from '../contract/driver.ts'
import { CSI_DRIVER } from '../contract/names.ts'
import {
  RESPONSE_MS,
  sendCertificateRequest,
  sendTrustBundleRequest,
} from '../exchanger/certificate/authority-client.ts'
import type { Clock, Random } from '../shared/base/clock.ts'
import type { Logger } from '../shared/base/log.ts'
import { openServers, type RunningServers } from '../shared/server/servers.ts'
import type { DriverConfig } from './config.ts'
import { startDriverServer, type DriverServer, type DriverServerOptions } from './csi/server.ts'
import { hasMountFolder, makeMountFolder, removeMountFolder } from './files/mount-folder.ts'
import { hasWritten, type VolumeSettings } from './files/volume.ts'
import { waitForKubelet } from './kubelet-folder.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { certificateSource } from './sources/certificates.ts'
import { credentialSource, type SendToSts } from './sources/credentials.ts'
import { AuthorityTrust } from './sources/trust.ts'
import { Volumes, type VolumesDeps } from './volumes.ts'

export interface DriverDeps extends Pick<
  VolumeSettings,
  'ownerId' | 'uniqueName' | 'isMemoryMount'
> {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly version: string
  readonly sendToSts: SendToSts
}

/**
 * Starts the driver: probes immediately, the sockets as soon as the kubelet's folders are there. It is ready once the
 * kubelet has registered it.
 *
 * @throws Node's error if the port is taken; DriverError ERR_SOCKET
 */
export async function startDriver(
  config: DriverConfig,
  deps: DriverDeps,
): Promise<Omit<RunningServers, 'port'>> {
  const { clock, log } = deps
  const state = { isRegistered: (): boolean => false }
  let podCount = (): number => 0
  const metrics = createMetrics(clock, () => podCount())
  const servers = await openServers({
    program: 'driver',
    registry: metrics.registry,
    metricsPort: config['metrics-port'],
    isReady: () => state.isRegistered(),
    clock,
    log,
  })
  await waitForKubelet(config['kubelet-folder'], deps)
  const { volumes, stopFollowing } = createVolumes(config, { ...deps, metrics })
  podCount = () => volumes.size
  const socket = join(config['kubelet-folder'], 'plugins', CSI_DRIVER, 'csi.sock')
  const server = await startServer(config, { ...deps, socket, handler: volumes })
  state.isRegistered = () => server.isRegistered()
  return servers.serveElsewhere({
    fields: { node: config.node, socket },
    async stop() {
      await server.stop()
      stopFollowing()
      volumes.stop()
    },
  })
}

function startServer(
  config: DriverConfig,
  {
    version,
    socket,
    handler,
    clock,
    log,
  }: DriverDeps & Pick<DriverServerOptions, 'socket' | 'handler'>,
): Promise<DriverServer> {
  return startDriverServer({
    driver: CSI_DRIVER,
    version,
    node: config.node,
    socket,
    socketOnHost: socket,
    registrationSocket: join(
      config['kubelet-folder'],
      'plugins_registry',
      `${CSI_DRIVER}-reg.sock`,
    ),
    handler,
    isReady: () => true,
    clock,
    log,
  })
}

function createVolumes(
  config: DriverConfig,
  deps: DriverDeps & { readonly metrics: Metrics },
): { readonly volumes: Volumes; readonly stopFollowing: () => void } {
  const podsFolder = join(config['kubelet-folder'], 'pods')
  const { ownerId, uniqueName, isMemoryMount, sendToSts, metrics, log } = deps
  const settings: VolumeSettings = { podsFolder, ownerId, uniqueName, isMemoryMount }
  const trust = createTrust(config, deps)
  const volumes = new Volumes({
    podsFolder,
    metrics,
    log,
    credentials: credentialSource({
      ...deps,
      volumes: settings,
      sendToSts,
      cluster: { clusterArn: config['cluster-arn'], clusterName: config['cluster-name'] },
      sts: {
        stsEndpoint: config['sts-endpoint'],
        stsProxy: config['sts-proxy'],
        stsNoProxy: config['sts-no-proxy'],
        stsCa: config['sts-ca'],
      },
    }),
    certificates: certificateSource({
      ...deps,
      volumes: settings,
      authorityUrl: config['authority-url'],
      trust,
      sendCertificateRequest: (call, signal) => sendCertificateRequest(call, withLimit(signal)),
    }),
    hasWritten: async (podUid, { credentials }) => {
      const slots = credentials === undefined ? [] : slotsOf(credentials)
      const names = slots.length > 0 ? slots.map(({ slot }) => slot.volume) : [TLS_VOLUME.name]
      const each = await Promise.all(names.map((name) => hasWritten({ podUid, name }, settings)))
      return each.every(Boolean)
    },
    targets: mountFolders(settings),
  })
  const stopFollowing = trust.follow((pem) => volumes.replaceTrustBundle(pem))
  return { volumes, stopFollowing }
}

function mountFolders(settings: VolumeSettings): VolumesDeps['targets'] {
  return {
    exists: (target) => hasMountFolder(target, settings),
    make: (target) => makeMountFolder(target, settings),
    remove: (target) => removeMountFolder(target, settings),
  }
}

function createTrust(config: DriverConfig, deps: DriverDeps): AuthorityTrust {
  return new AuthorityTrust({
    ...deps,
    file: config['trust-bundle-file'],
    requester: {
      namespace: DRIVER.namespace,
      serviceAccount: DRIVER.name,
      pod: config.node,
      authorityUrl: config['authority-url'],
      durationSeconds: 0, // it asks for no certificate of its own
      dnsNames: undefined,
    },
    sendTrustBundleRequest: (endpoint, signal) =>
      sendTrustBundleRequest(endpoint, withLimit(signal)),
  })
}

function withLimit(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(RESPONSE_MS)])
}
