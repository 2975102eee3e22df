/** Test double: how a kubelet starts the process of one container. Never shipped. */
import { join } from 'node:path'
import { uidOf } from './issuer.ts'
import {
  containerOf,
  identityOf,
  type KubeletContainer,
  type KubeletEnvVar,
  type KubeletPod,
} from './kubelet-pod.ts'
import type { PreparedPod } from './kubelet-volumes.ts'

/** Where parts of the file system of the image are on this machine: path in the image → folder here. */
export type ImageRoot = Readonly<Record<string, string>>

/** The process of a container, with paths of this machine. */
export interface ContainerProcess {
  /** Command and arguments. */
  readonly command: readonly string[]
  /** All that the pod sets, and nothing else. */
  readonly env: Readonly<Record<string, string>>
  /** The command of the postStart hook; undefined if the container has none. */
  readonly postStart: readonly string[] | undefined
  /** Where the `terminationMessagePath` of the container is. */
  readonly terminationMessageFile: string
  /** @throws Error for a path at which the container mounts no volume of the testbed */
  readonly folderOf: (mountPath: string) => string
}

/** Source: Kubernetes API reference, Container v1, terminationMessagePath. */
const DEFAULT_TERMINATION_MESSAGE_PATH = '/dev/termination-log'

/**
 * Works out what would run. A word of the command or a value of the env that is, or lies below, a
 * mount path of the container, its termination message path or a path of `imageRoot` becomes a path
 * of this machine; a path in the middle of a text stays.
 *
 * @throws Error for a command that only the image knows, or env from a source other than a field
 */
export function containerProcess(
  prepared: PreparedPod,
  containerName: string,
  imageRoot: ImageRoot,
): ContainerProcess {
  const container = containerOf(prepared.pod, containerName)
  if (container.command === undefined) {
    throw new Error(`container ${containerName} has no command, and there is no image to ask`)
  }
  const terminationMessageFile = join(prepared.folder, 'termination', containerName)
  const mounts = mountsOf(prepared, container)
  const paths = new Map([
    ...Object.entries(imageRoot).map(
      ([path, folder]) => [path.replace(/\/+$/, ''), folder] as const,
    ),
    ...mounts,
    [container.terminationMessagePath ?? DEFAULT_TERMINATION_MESSAGE_PATH, terminationMessageFile],
  ])
  const env = resolveEnv(prepared.pod, container.env ?? [])
  const here = (text: string): string => mapPath(paths, text)
  return {
    command: [...container.command, ...(container.args ?? [])].map((word) =>
      here(expand(word, env)),
    ),
    env: Object.fromEntries([...env].map(([name, value]) => [name, here(value)])),
    // The kubelet expands nothing in a hook.
    postStart: container.lifecycle?.postStart?.exec?.command.map(here),
    terminationMessageFile,
    folderOf(mountPath) {
      const folder = mounts.get(mountPath)
      if (folder === undefined) throw new Error(`${containerName} mounts nothing at ${mountPath}`)
      return folder
    },
  }
}

function mountsOf(prepared: PreparedPod, container: KubeletContainer): Map<string, string> {
  const mounts = new Map<string, string>()
  for (const { name, mountPath, subPath = '' } of container.volumeMounts ?? []) {
    const folder = prepared.volumes.get(name)
    if (folder !== undefined) mounts.set(mountPath, join(folder, subPath))
  }
  return mounts
}

/** The longest known path that the text is or lies below decides. */
function mapPath(paths: ReadonlyMap<string, string>, text: string): string {
  let longest = ''
  for (const path of paths.keys()) {
    const isBelow = text === path || text.startsWith(`${path}/`)
    if (isBelow && path.length > longest.length) longest = path
  }
  const folder = paths.get(longest)
  return folder === undefined ? text : join(folder, text.slice(longest.length))
}

/**
 * The container's env in order: a value may refer to variables that stand before it, and a later
 * one of the same name replaces an earlier one.
 */
export function resolveEnv(
  pod: KubeletPod,
  env: readonly KubeletEnvVar[],
): ReadonlyMap<string, string> {
  const resolved = new Map<string, string>()
  for (const variable of env) {
    const value =
      variable.valueFrom === undefined
        ? expand(variable.value ?? '', resolved)
        : fieldOf(pod, variable)
    resolved.set(variable.name, value)
  }
  return resolved
}

/**
 * `$(NAME)` becomes the variable's value, or stays if there is none; `$$` becomes `$`.
 * Source: Kubernetes, "Define Dependent Environment Variables"; third_party/forked/golang/expansion.
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (variables.get(name) ?? whole),
  )
}

function fieldOf(pod: KubeletPod, { name, valueFrom }: KubeletEnvVar): string {
  const identity = identityOf(pod)
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': identity.name,
    'metadata.namespace': identity.namespace,
    'metadata.uid': uidOf('pod', `${identity.namespace}/${identity.name}`),
    'spec.serviceAccountName': identity.serviceAccount,
  }
  const value = fields[valueFrom?.fieldRef?.fieldPath ?? '']
  if (value === undefined) {
    throw new Error(`env ${name}: the testbed takes fieldRefs to ${Object.keys(fields).join(', ')}`)
  }
  return value
}
