import type { Fields, Message } from './wire.ts'

/** A method of a gRPC service, with the fields of its two messages. */
export interface Method<Request extends Fields = Fields, Response extends Fields = Fields> {
  /** `/package.Service/Method` */
  readonly path: string
  readonly request: Request
  readonly response: Response
}

/** The methods of csi.proto and registration.proto; a test holds this table against them. */
export const METHODS = {
  getPluginInfo: {
    path: '/csi.v1.Identity/GetPluginInfo',
    request: {},
    response: { name: [1, 'string'], vendorVersion: [2, 'string'] },
  },
  getPluginCapabilities: {
    path: '/csi.v1.Identity/GetPluginCapabilities',
    request: {},
    response: {},
  },
  probe: {
    path: '/csi.v1.Identity/Probe',
    request: {},
    response: { ready: [1, 'boolValue'] },
  },
  publish: {
    path: '/csi.v1.Node/NodePublishVolume',
    request: {
      volumeId: [1, 'string'],
      targetPath: [4, 'string'],
      readonly: [6, 'bool'],
      secrets: [7, 'map'],
      volumeContext: [8, 'map'],
    },
    response: {},
  },
  unpublish: {
    path: '/csi.v1.Node/NodeUnpublishVolume',
    request: { volumeId: [1, 'string'], targetPath: [2, 'string'] },
    response: {},
  },
  getCapabilities: { path: '/csi.v1.Node/NodeGetCapabilities', request: {}, response: {} },
  getNodeInfo: {
    path: '/csi.v1.Node/NodeGetInfo',
    request: {},
    response: { nodeId: [1, 'string'] },
  },
  getRegistrationInfo: {
    path: '/pluginregistration.Registration/GetInfo',
    request: {},
    response: {
      type: [1, 'string'],
      name: [2, 'string'],
      endpoint: [3, 'string'],
      supportedVersions: [4, 'strings'],
    },
  },
  notifyRegistrationStatus: {
    path: '/pluginregistration.Registration/NotifyRegistrationStatus',
    request: { pluginRegistered: [1, 'bool'], error: [2, 'string'] },
    response: {},
  },
} as const satisfies Readonly<Record<string, Method>>

/** A kubelet's NodePublishVolume, not checked. It holds tokens: never log it. */
export type NodePublishRequest = Message<typeof METHODS.publish.request>
/** A kubelet's NodeUnpublishVolume, not checked. */
export type NodeUnpublishRequest = Message<typeof METHODS.unpublish.request>
