import { Server, ServerCredentials } from '@grpc/grpc-js'
import { sleepUnless, type Clock } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'
import { registerAt, type CallLimits, type Register } from './call.ts'
import { METHODS, type NodePublishRequest, type NodeUnpublishRequest } from './methods.ts'
import { listenOnSocket } from './socket.ts'

/** What a driver does for the kubelet. Both are called again and again for one volume. */
export interface PublishHandler {
  /** @throws NocredsError whose message the pod's events show */
  publish(request: NodePublishRequest, signal: AbortSignal): Promise<void>
  /** @throws NocredsError */
  unpublish(request: NodeUnpublishRequest, signal: AbortSignal): Promise<void>
}

export interface DriverServerOptions {
  /** Name of the CSIDriver. */
  readonly driver: string
  readonly version: string
  /** The node's name. */
  readonly node: string
  /** `<kubelet>/plugins/NAME/csi.sock`, as this process sees it. */
  readonly socket: string
  /** The same file, as the kubelet sees it on the host. */
  readonly socketOnHost: string
  /** `<kubelet>/plugins_registry/NAME-reg.sock`, where the kubelet looks for drivers. */
  readonly registrationSocket: string
  readonly handler: PublishHandler
  /** Whether publishing can succeed. */
  readonly isReady: () => boolean
  readonly clock: Clock
  readonly log: Logger
  /** Default: 256 calls at once, 100 s each. */
  readonly limits?: CallLimits
}

export interface DriverServer {
  /** Whether the kubelet has said that it knows this driver. */
  isRegistered(): boolean
  /** Leaves the kubelet, takes no more calls, lets those under way end for a moment, and closes. */
  stop(): Promise<void>
}

/** The kubelet itself waits 120 s. */
const LIMITS: CallLimits = { maxConcurrent: 256, timeoutMs: 100_000 }
/** Tokens are by far the largest part of a request, with some 2 KiB each. */
const MAX_MESSAGE_BYTES = 262_144
const CLOSE_MS = 5000

/**
 * Serves CSI's Identity and Node on one socket, and the kubelet's registration on another, which it opens
 * last: a kubelet that finds it calls at once.
 *
 * @throws DriverError ERR_SOCKET; Node's error if a socket cannot be made
 */
export async function startDriverServer(options: DriverServerOptions): Promise<DriverServer> {
  const state = { registered: false }
  const csi = await serveOn(options.socket, options, (register) => {
    registerIdentity(register, options)
    registerNode(register, options)
  })
  try {
    const registration = await serveOn(options.registrationSocket, options, (register) => {
      registerRegistration(register, options, state)
    })
    return {
      isRegistered: () => state.registered,
      async stop() {
        await registration.stop()
        await csi.stop()
      },
    }
  } catch (error) {
    await csi.stop()
    throw error
  }
}

async function serveOn(
  path: string,
  { clock, log, limits = LIMITS }: DriverServerOptions,
  registerAll: (register: Register) => void,
): Promise<{ stop(): Promise<void> }> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': limits.maxConcurrent,
    'grpc.enable_channelz': 0,
  })
  registerAll(registerAt(server, limits, { clock, log }))
  const connections = server.createConnectionInjector(ServerCredentials.createInsecure())
  const socket = await listenOnSocket(path, (connection) => {
    connections.injectConnection(connection)
  })
  return {
    async stop() {
      await socket.close()
      const ended = new AbortController()
      server.tryShutdown(() => {
        ended.abort()
      })
      await sleepUnless(clock, CLOSE_MS, ended.signal)
      server.forceShutdown()
    },
  }
}

function registerIdentity(
  register: Register,
  { driver, version, isReady }: DriverServerOptions,
): void {
  register(METHODS.getPluginInfo, () => ({ name: driver, vendorVersion: version }))
  register(METHODS.getPluginCapabilities, () => ({})) // none: there is no controller
  register(METHODS.probe, () => ({ ready: isReady() }))
}

function registerNode(register: Register, { node, handler }: DriverServerOptions): void {
  register(METHODS.publish, async (request, signal) => {
    await handler.publish(request, signal)
    return {}
  })
  register(METHODS.unpublish, async (request, signal) => {
    await handler.unpublish(request, signal)
    return {}
  })
  register(METHODS.getCapabilities, () => ({})) // none: nothing is staged, nothing is measured
  register(METHODS.getNodeInfo, () => ({ nodeId: node }))
}

function registerRegistration(
  register: Register,
  { driver, socketOnHost, log }: DriverServerOptions,
  state: { registered: boolean },
): void {
  register(METHODS.getRegistrationInfo, () => ({
    type: 'CSIPlugin',
    name: driver,
    endpoint: socketOnHost,
    supportedVersions: ['1.0.0'],
  }))
  register(METHODS.notifyRegistrationStatus, ({ pluginRegistered, error }) => {
    state.registered = pluginRegistered
    if (pluginRegistered) log.info({ driver }, 'registered with the kubelet')
    else log.error({ driver, error: error.slice(0, 1000) }, 'the kubelet refused the driver')
    return {}
  })
}
