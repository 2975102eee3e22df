import { INJECTED_ROLE, PREFIX } from '../../contract/names.ts'
import { appSide, type AppSide } from './deliveries.ts'
import type { Injection } from './ours/injection.ts'
import { repaired } from './ours/repaired.ts'
import { isOurVolume, ourSidecars, ourVolumes } from './ours/whole.ts'
import { placed } from './mesh.ts'
import type { Container, EnvVar, Pod, Volume, VolumeMount } from './pod.ts'

/**
 * The pod with all that nocreds gives it. Pure and idempotent: what is already there is not added
 * again, and a pod that has everything is returned as it is, by reference.
 *
 * Expects a pod that passed the checks. Volumes of our names, and the init container of our name, are put back as
 * they are to be: other webhooks change what they find, and restored pods have what an older version wrote.
 */
export function inject(pod: Pod, injection: Injection): Pod {
  const app = appSide(injection, pod)
  const skipped = injection.request.skipContainers
  const serve = (container: Container): Container =>
    skipped.includes(container.name) ? container : withAppSide(container, app)

  const [ours] = ourSidecars(injection, pod)
  const initContainers = (pod.spec.initContainers ?? []).map((container) =>
    ours?.name === container.name ? repaired(container, ours, injection) : serve(container),
  )
  const kept = keepList(pod.spec.initContainers, initContainers)
  return keepIfEqual(pod, {
    metadata: keepIfEqual(pod.metadata, { annotations: withMarks(pod, injection) }),
    spec: keepIfEqual(pod.spec, {
      volumes: withOurVolumes(pod.spec.volumes, injection),
      initContainers: ours === undefined ? kept : placed(kept, ours, injection.meshProxies),
      containers: keepList(pod.spec.containers, pod.spec.containers.map(serve)),
    }),
  })
}

/**
 * What the guard goes by: the role, and the delivery where the app itself holds the token. A pod without a
 * role bears no mark, not even one that a user wrote.
 */
function withMarks(
  { metadata }: Pod,
  { request: { credentials } }: Injection,
): Pod['metadata']['annotations'] {
  if (credentials === undefined) return withoutMark(metadata.annotations)
  const { role, delivery } = credentials
  const marks = {
    [INJECTED_ROLE]: role.arn,
    ...(delivery === 'web-identity' ? { [`${PREFIX}delivery`]: delivery } : {}),
  }
  return keepIfEqual(metadata.annotations ?? {}, marks)
}

/** Only the webhook writes the mark of the injected role; one that a user wrote is taken away. */
export function withoutMark(
  annotations: Pod['metadata']['annotations'],
): Pod['metadata']['annotations'] {
  if (!annotations || !Object.hasOwn(annotations, INJECTED_ROLE)) return annotations
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== INJECTED_ROLE))
}

function withAppSide(container: Container, app: AppSide): Container {
  const env = container.env ?? []
  const isSet = (one: EnvVar): boolean => env.some((other) => other.name === one.name)
  const region = app.regionEnv.some(isSet) ? [] : app.regionEnv
  const missing = [...app.env, ...region].filter((one) => !isSet(one))
  const mounts = container.volumeMounts ?? []
  const isMounted = ({ mountPath }: VolumeMount): boolean =>
    mounts.some((mount) => mount.mountPath === mountPath)
  const missingMounts = app.mounts.filter((mount) => !isMounted(mount))
  return keepIfEqual(container, {
    env: missing.length === 0 ? container.env : [...env, ...missing],
    volumeMounts:
      missingMounts.length === 0 ? container.volumeMounts : [...mounts, ...missingMounts],
  })
}

/** Volumes of our names are what we write, whatever they were. */
function withOurVolumes(
  list: readonly Volume[] | null | undefined,
  injection: Injection,
): readonly Volume[] | null | undefined {
  const ours = ourVolumes(injection)
  const present = list ?? []
  const kept = present.map((volume) => {
    const our = ours.find(({ name }) => name === volume.name)
    return our === undefined || isOurVolume(volume, injection) ? volume : our
  })
  const missing = ours.filter((one) => !present.some(({ name }) => name === one.name))
  return missing.length === 0 ? keepList(list, kept) : [...kept, ...missing]
}

/** The old list where every element is the old one. */
function keepList<T>(
  before: readonly T[] | null | undefined,
  after: readonly T[],
): readonly T[] | null | undefined {
  return before?.every((element, index) => element === after[index]) === false ? after : before
}

/** The object with the changes, or the object itself where they change nothing. */
function keepIfEqual<T extends object>(
  object: T,
  changes: { readonly [Key in keyof T]?: unknown },
): T {
  let changed: T | undefined
  for (const key of Object.keys(changes) as (keyof T)[]) {
    if (changes[key] === object[key]) continue
    changed ??= { ...object }
    changed[key] = changes[key] as T[keyof T]
  }
  return changed ?? object
}
