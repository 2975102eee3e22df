/** Test double: the side of a kubelet that speaks with a CSI driver, over real gRPC. Never shipped. */
import { chmod, chown, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, credentials, type ClientOptions } from '@grpc/grpc-js'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import type { Pod } from '../../driver/pod-tokens.ts'
import { podInfo, TOKENS_KEY, tokensText } from './driver-samples.ts'
import { eventually } from './eventually.ts'

/** How the kubelets of two releases call: the authority of grpc-go, and where they put tokens. */
export const KUBELETS = {
  '1.30': {
    userAgent: 'grpc-go/1.58.3',
    authority: encodeURIComponent,
    tokensIn: 'volume_context',
  },
  '1.37': { userAgent: 'grpc-go/1.82.0', authority: () => 'localhost', tokensIn: 'secrets' },
} as const

export interface DriverKubeletOptions {
  /** The kubelet's folder; best on a tmpfs, so that an emptyDir is one without a mount. */
  readonly folder: string
  /** Name of the driver. */
  readonly driver: string
  readonly release: keyof typeof KUBELETS
}

/** What a driver says of itself. */
interface DriverInfo {
  readonly type: string
  readonly name: string
  readonly endpoint: string
  readonly supportedVersions: readonly string[]
}

/** One publish; the same again is a republish. */
interface Publish {
  /** Name of the CSI volume. */
  readonly volume: string
  readonly attributes: Readonly<Record<string, string>>
  /** Tokens by audience. */
  readonly tokens: Readonly<Record<string, string>>
  /** Further fields of the request, or others instead. */
  readonly overrides?: Readonly<Record<string, unknown>>
}

export interface DriverKubelet {
  readonly podsFolder: string
  /** Where the driver must make its sockets. */
  readonly sockets: { readonly csi: string; readonly registration: string }
  /** Waits for the driver, asks what it is, and tells it that it is registered. */
  register(): Promise<DriverInfo>
  /** Makes the folders of a pod: its emptyDir, prepared, and the one around the mount of a CSI volume. */
  preparePod(pod: Pod, volumes: PodVolumes): Promise<void>
  /** @throws the gRPC error, with `code` and `details`, which a pod's events would show */
  publish(pod: Pod, publish: Publish): Promise<void>
  unpublish(pod: Pod, volume: string): Promise<void>
  removePod(pod: Pod): Promise<void>
  /** Any method: `/csi.v1.Node/NodeGetInfo`. */
  call(path: string, request?: object): Promise<unknown>
}

interface PodVolumes {
  /** Name of the emptyDir. */
  readonly emptyDir: string
  readonly csi: string
  readonly fsGroup?: number
}

/** Far longer than any answer takes; a kubelet's own is 120 s. */
const DEADLINE_MS = 20_000
const EMPTY_DIR = 'kubernetes.io~empty-dir'

const METHODS = new Map(
  ['csi.proto', 'registration.proto']
    .flatMap((file) =>
      Object.values(
        loadSync(join(import.meta.dirname, '../../driver/csi', file), { defaults: true }),
      ),
    )
    .flatMap((definition) => ('format' in definition ? [] : Object.values(definition)))
    .map((method: MethodDefinition<object, object>) => [method.path, method]),
)

export function startDriverKubelet(options: DriverKubeletOptions): DriverKubelet {
  const { folder, driver, release } = options
  const podsFolder = join(folder, 'pods')
  const sockets = {
    csi: join(folder, 'plugins', driver, 'csi.sock'),
    registration: join(folder, 'plugins_registry', `${driver}-reg.sock`),
  }
  const call = (path: string, request: object = {}): Promise<unknown> =>
    callOnce(path.startsWith('/csi') ? sockets.csi : sockets.registration, path, {
      request,
      release,
    })
  return {
    podsFolder,
    sockets,
    call,
    async register() {
      await eventually(async () => (await openable(sockets.registration)) && openable(sockets.csi))
      const info = (await call('/pluginregistration.Registration/GetInfo')) as DriverInfo
      const status = { pluginRegistered: true }
      await call('/csi.v1.Node/NodeGetInfo')
      await call('/pluginregistration.Registration/NotifyRegistrationStatus', status)
      return info
    },
    preparePod: (pod, volumes) => prepareFolders(join(podsFolder, pod.uid), volumes),
    async publish(pod, { volume, attributes, tokens, overrides }) {
      const token = { [TOKENS_KEY]: tokensText(tokens) }
      const inSecrets = KUBELETS[release].tokensIn === 'secrets'
      await call('/csi.v1.Node/NodePublishVolume', {
        volumeId: `csi-${pod.uid}`,
        targetPath: targetOf(podsFolder, pod, volume),
        readonly: true,
        secrets: inSecrets ? token : {},
        volumeContext: {
          ...attributes,
          ...Object.fromEntries(podInfo(pod)),
          ...(inSecrets ? {} : token),
        },
        ...overrides,
      })
    },
    async unpublish(pod, volume) {
      const targetPath = targetOf(podsFolder, pod, volume)
      await call('/csi.v1.Node/NodeUnpublishVolume', { volumeId: `csi-${pod.uid}`, targetPath })
    },
    removePod: (pod) => rm(join(podsFolder, pod.uid), { recursive: true }),
  }
}

/** Folders that the kubelet makes before any driver comes. */
export async function makeKubeletFolders(folder: string, driver: string): Promise<void> {
  for (const name of ['pods', 'plugins_registry', join('plugins', driver)]) {
    await mkdir(join(folder, name), { recursive: true, mode: 0o750 })
  }
}

/** As the kubelet does it: group and modes first, `ready` after that. */
async function prepareFolders(pod: string, { emptyDir, csi, fsGroup }: PodVolumes): Promise<void> {
  const volume = join(pod, 'volumes', EMPTY_DIR, emptyDir)
  await mkdir(volume, { recursive: true, mode: 0o750 })
  if (fsGroup !== undefined) await chown(volume, 0, fsGroup)
  await chmod(volume, fsGroup === undefined ? 0o777 : 0o2777)
  const meta = join(pod, 'plugins', EMPTY_DIR, emptyDir)
  await mkdir(meta, { recursive: true, mode: 0o750 })
  await (await open(join(meta, 'ready'), 'w')).close()
  await mkdir(join(pod, 'volumes/kubernetes.io~csi', csi), { recursive: true, mode: 0o750 })
}

function targetOf(podsFolder: string, pod: Pod, volume: string): string {
  return join(podsFolder, pod.uid, 'volumes/kubernetes.io~csi', volume, 'mount')
}

/** Each call has a connection of its own, as a kubelet's. */
async function callOnce(
  socket: string,
  path: string,
  { request, release }: { request: object; release: keyof typeof KUBELETS },
): Promise<unknown> {
  const method = METHODS.get(path)
  if (method === undefined) throw new Error(`no method ${path}`)
  const client = new Client(
    `unix:${socket}`,
    credentials.createInsecure(),
    dialOptions(socket, release),
  )
  try {
    return await new Promise((resolve, reject) => {
      const { requestSerialize, responseDeserialize } = method
      const deadline = { deadline: Date.now() + DEADLINE_MS }
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        deadline,
        (error, response) => {
          if (error === null) resolve(response)
          else reject(error)
        },
      )
    })
  } finally {
    client.close()
  }
}

function dialOptions(socket: string, release: keyof typeof KUBELETS): ClientOptions {
  const { userAgent, authority } = KUBELETS[release]
  return {
    'grpc.primary_user_agent': userAgent,
    'grpc.default_authority': authority(socket),
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1, // no connection is shared
  }
}

/** Whether somebody listens there. */
async function openable(socket: string): Promise<boolean> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  try {
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 1000, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
    return true
  } catch {
    return false
  } finally {
    client.close()
  }
}
