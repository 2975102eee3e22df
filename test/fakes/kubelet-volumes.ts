/** Test double: the volumes of one pod as a kubelet makes them, as plain folders. Never shipped. */
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Cancel, Clock } from '../../shared/base/clock.ts'
import { codeOf } from '../../shared/base/errors.ts'
import type { Issuer } from './issuer.ts'
import { identityOf, type KubeletPod, type KubeletVolume } from './kubelet-pod.ts'

export interface KubeletOptions {
  /** An existing folder that is the pod's alone. */
  readonly folder: string
  readonly issuer: Pick<Issuer, 'mintToken'>
  readonly clock: Clock
  /** The `data` of a ConfigMap; undefined if absent. */
  readonly configMap?: (namespace: string, name: string) => Payload | undefined
}

/** A pod whose volumes are there. */
export interface PreparedPod {
  readonly pod: KubeletPod
  readonly folder: string
  readonly clock: Clock
  /** Folder of each volume that the testbed makes, by the volume's name. */
  readonly volumes: ReadonlyMap<string, string>
  /** Writes new tokens now, as it happens anyway at 80 % of their lifetime. */
  rotateToken(): Promise<void>
  /** Ends the rotation; waits for one that is under way and throws if the last one failed. */
  close(): Promise<void>
}

/** Files of a volume by their path in it. */
type Payload = Readonly<Record<string, string>>

/** Default of `expirationSeconds`. Source: Kubernetes API reference, ServiceAccountTokenProjection. */
const DEFAULT_TOKEN_SECONDS = 3600
/** Source: Kubernetes, "Launch a Pod using service account token projection". */
const ROTATED_AT = 0.8

/**
 * Makes a folder for each emptyDir and each projected volume with a token or a ConfigMap, and keeps
 * the tokens fresh until `close`; the ConfigMap is read again with them. Volumes of other kinds are left out: nocreds writes none. Mounts that are
 * read-only are not enforced.
 */
export async function preparePod(pod: KubeletPod, options: KubeletOptions): Promise<PreparedPod> {
  identityOf(pod)
  const volumes = new Map<string, string>()
  const tokenVolumes: KubeletVolume[] = []
  for (const volume of pod.spec.volumes ?? []) {
    const isKnown = volume.projected?.sources.some(
      (source) => source.serviceAccountToken ?? source.configMap,
    )
    if (volume.emptyDir === undefined && isKnown !== true) continue
    const folder = join(options.folder, 'volumes', volume.name)
    await mkdir(folder, { recursive: true })
    await chmod(folder, volume.emptyDir === undefined ? 0o755 : 0o777)
    volumes.set(volume.name, folder)
    if (volume.emptyDir === undefined) tokenVolumes.push(volume)
  }
  const rotation = await keepFresh(
    tokenVolumes,
    async (volume) => {
      const payload = {
        ...configMapsFor(pod, volume, options),
        ...(await tokensFor(pod, volume, options.issuer)),
      }
      await writeVolume(volumes.get(volume.name) ?? '', payload, options.clock.now())
    },
    options.clock,
  )
  return { pod, folder: options.folder, clock: options.clock, volumes, ...rotation }
}

/** Runs `write` for each volume now and at 80 % of its tokens' lifetime; never twice at a time. */
async function keepFresh(
  tokenVolumes: readonly KubeletVolume[],
  write: (volume: KubeletVolume) => Promise<void>,
  clock: Clock,
): Promise<Pick<PreparedPod, 'rotateToken' | 'close'>> {
  const timers = new Map<KubeletVolume, Cancel>()
  let closed = false
  let inFlight = Promise.resolve()
  const rotate = (volume: KubeletVolume): Promise<void> => {
    timers.get(volume)?.()
    inFlight = inFlight.catch(() => undefined).then(() => write(volume))
    if (!closed) {
      const delayMs = lifetimeSecondsOf(volume) * 1000 * ROTATED_AT
      // The old token stays, as with a kubelet; `close` reports a failure that no later attempt has fixed.
      const onTimer = (): void => void rotate(volume).catch(() => undefined)
      timers.set(volume, clock.after(delayMs, onTimer))
    }
    return inFlight
  }
  const rotateAll = async (): Promise<void> => {
    for (const volume of tokenVolumes) await rotate(volume)
  }
  await rotateAll()
  return {
    rotateToken: rotateAll,
    async close() {
      closed = true
      for (const cancel of timers.values()) cancel()
      await inFlight
    },
  }
}

/** The shortest lifetime of the volume's tokens. */
function lifetimeSecondsOf(volume: KubeletVolume): number {
  const lifetimes = (volume.projected?.sources ?? []).map(
    ({ serviceAccountToken }) => serviceAccountToken?.expirationSeconds ?? DEFAULT_TOKEN_SECONDS,
  )
  return Math.min(...lifetimes)
}

/** @throws Error if one is missing: a kubelet would hold the pod back */
function configMapsFor(pod: KubeletPod, volume: KubeletVolume, options: KubeletOptions): Payload {
  const { namespace } = identityOf(pod)
  const payload: Record<string, string> = {}
  for (const { configMap: wanted } of volume.projected?.sources ?? []) {
    if (wanted === undefined) continue
    const data = options.configMap?.(namespace, wanted.name)
    if (data === undefined) throw new Error(`ConfigMap ${wanted.name} does not exist`)
    const items = wanted.items ?? Object.keys(data).map((key) => ({ key, path: key }))
    for (const { key, path } of items) {
      const content = data[key]
      if (content === undefined) throw new Error(`ConfigMap ${wanted.name} has no ${key}`)
      payload[path] = content
    }
  }
  return payload
}

async function tokensFor(
  pod: KubeletPod,
  volume: KubeletVolume,
  issuer: Pick<Issuer, 'mintToken'>,
): Promise<Payload> {
  const { name, namespace, serviceAccount } = identityOf(pod)
  const payload: Record<string, string> = {}
  for (const { serviceAccountToken: wanted } of volume.projected?.sources ?? []) {
    if (wanted === undefined) continue
    payload[wanted.path] = await issuer.mintToken({
      namespace,
      serviceAccount,
      pod: name,
      audience: wanted.audience,
      expiresInSeconds: wanted.expirationSeconds ?? DEFAULT_TOKEN_SECONDS,
    })
  }
  return payload
}

/**
 * Replaces all files of a volume at once: they stand in a folder with a time in its name, `..data`
 * points at it and is swapped by a rename, and each visible name points through `..data`.
 * Source: Kubernetes, pkg/volume/util/atomic_writer.go.
 */
export async function writeVolume(folder: string, payload: Payload, nowMs: number): Promise<void> {
  const stamp = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:T]/g, '_')
  const fresh = await mkdtemp(join(folder, `..${stamp}.`))
  await chmod(fresh, 0o755)
  for (const [path, content] of Object.entries(payload)) {
    const file = join(fresh, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content, { mode: 0o644 })
  }
  const data = join(folder, '..data')
  const old = await targetOf(data)
  await symlink(basename(fresh), `${data}_tmp`)
  await rename(`${data}_tmp`, data)
  for (const name of new Set(Object.keys(payload).map((path) => path.split('/')[0] ?? path))) {
    if (!(await isThere(join(folder, name))))
      await symlink(join('..data', name), join(folder, name))
  }
  if (old !== undefined) await rm(join(folder, old), { recursive: true })
}

async function targetOf(link: string): Promise<string | undefined> {
  try {
    return await readlink(link)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
