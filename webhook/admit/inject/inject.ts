import { appHoldsToken } from '../../../contract/delivery.ts'
import { AWS_ENV, INJECTED_ROLE, INJECTED_ROLES, PREFIX } from '../../../contract/names.ts'
import type { Container, EnvVar, Pod, Volume, VolumeMount } from '../pod.ts'
import { isInjectedVolume, injectedContainer, injectedVolumes } from './additions.ts'
import { appSide, sideOf, type AppSide } from './deliveries.ts'
import type { Injection } from './injection.ts'
import { placed } from './mesh.ts'
import { repaired } from './repaired.ts'
import { bySlot, rolesOfSlots } from './slots.ts'

type Annotations = Pod['metadata']['annotations']

/**
 * The pod with everything that nocreds injects. Pure and idempotent: what is already there is not added
 * again, and a pod that has everything is returned as it is, by reference.
 *
 * Expects a pod that passed the checks. Volumes and the init container with reserved names are restored to what
 * nocreds injects: other webhooks change them, and pods from a backup have what an older version wrote.
 */
export function inject(pod: Pod, injection: Injection): Pod {
  const { credentials, skipContainers: skipped } = injection.request
  const sideFor = bySlot(credentials, (slot) => appSide(injection, pod, slot))
  const serve = (container: Container): Container =>
    skipped.includes(container.name) ? container : withAppSide(container, sideFor(container.name))

  const injected = injectedContainer(injection, pod)
  const initContainers = (pod.spec.initContainers ?? []).map((container) =>
    injected?.name === container.name ? repaired(container, injected, injection) : serve(container),
  )
  const kept = keepList(pod.spec.initContainers, initContainers)
  return keepIfEqual(pod, {
    metadata: keepIfEqual(pod.metadata, { annotations: withMarks(pod, injection) }),
    spec: keepIfEqual(pod.spec, {
      volumes: withInjectedVolumes(pod.spec.volumes, injection),
      initContainers: injected === undefined ? kept : placed(kept, injected, injection.meshProxies),
      containers: keepList(pod.spec.containers, pod.spec.containers.map(serve)),
    }),
  })
}

/**
 * What the guard checks against: the roles, and the delivery if the app itself holds the token. A pod without a
 * role, or without a second one, has no such annotation, not even one that a user wrote.
 */
function withMarks({ metadata }: Pod, { request: { credentials } }: Injection): Annotations {
  if (credentials === undefined) return withoutMarks(metadata.annotations)
  const { role, target, delivery } = credentials
  const roles = [...rolesOfSlots(credentials), ...(target === undefined ? [] : [target.role])]
  const marks = {
    [INJECTED_ROLE]: role.arn,
    ...(roles.length === 1 ? {} : { [INJECTED_ROLES]: roles.map(({ arn }) => arn).join(' ') }),
    ...(appHoldsToken(delivery) ? { [`${PREFIX}delivery`]: delivery } : {}),
  }
  const kept =
    roles.length === 1 ? without(metadata.annotations, [INJECTED_ROLES]) : metadata.annotations
  return keepIfEqual(kept ?? {}, marks)
}

/** Only the webhook writes the marks of injected roles; those that a user wrote are removed. */
export function withoutMarks(annotations: Annotations): Annotations {
  return without(annotations, [INJECTED_ROLE, INJECTED_ROLES])
}

function without(annotations: Annotations, keys: readonly string[]): Annotations {
  if (!annotations || !keys.some((key) => Object.hasOwn(annotations, key))) return annotations
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !keys.includes(key)))
}

function withAppSide(container: Container, ofPod: AppSide): Container {
  const app = sideOf(container, ofPod)
  const mounts = container.volumeMounts ?? []
  const isMounted = ({ mountPath }: VolumeMount): boolean =>
    mounts.some((mount) => mount.mountPath === mountPath)
  const missingMounts = app.mounts.filter((mount) => !isMounted(mount))
  return keepIfEqual(container, {
    env: withAppEnv(container.env, app),
    volumeMounts:
      missingMounts.length === 0 ? container.volumeMounts : [...mounts, ...missingMounts],
  })
}

function withAppEnv(env: Container['env'], app: AppSide): Container['env'] {
  const before = env ?? []
  const region = before.some(namesRegion) ? [] : app.regionEnv
  const filled = region.length === 0 ? before : withoutEmpty(before, region)
  const isMissing = (one: EnvVar): boolean => !filled.some((other) => other.name === one.name)
  const missing = app.env.filter(isMissing)
  missing.push(...region.filter(isMissing))
  if (app.regionalEnv.length > 0 && [...filled, ...missing].some(namesRegion))
    missing.push(...app.regionalEnv.filter(isMissing))
  return missing.length === 0 && filled === before ? env : [...filled, ...missing]
}

const REGION_NAMES: readonly string[] = [AWS_ENV.region, AWS_ENV.defaultRegion]

/** An empty value, the default of many charts, does not count. */
function namesRegion({ name, value, valueFrom }: EnvVar): boolean {
  return REGION_NAMES.includes(name) && (Boolean(value) || Boolean(valueFrom))
}

/** The variables, with empty ones replaced by those of `region`; the same list if none is empty. */
function withoutEmpty(env: readonly EnvVar[], region: readonly EnvVar[]): readonly EnvVar[] {
  const inPlace = (one: EnvVar): EnvVar => region.find(({ name }) => name === one.name) ?? one
  return env.some((one) => inPlace(one) !== one) ? env.map(inPlace) : env
}

/** Volumes with reserved names are replaced by the injected ones. */
function withInjectedVolumes(
  list: readonly Volume[] | null | undefined,
  injection: Injection,
): readonly Volume[] | null | undefined {
  const injected = injectedVolumes(injection)
  const present = list ?? []
  const kept = present.map((volume) => {
    const wanted = injected.find(({ name }) => name === volume.name)
    return wanted === undefined || isInjectedVolume(volume, injection) ? volume : wanted
  })
  const missing = injected.filter((one) => !present.some(({ name }) => name === one.name))
  return missing.length === 0 ? keepList(list, kept) : [...kept, ...missing]
}

/** The old list if every element is unchanged. */
function keepList<T>(
  before: readonly T[] | null | undefined,
  after: readonly T[],
): readonly T[] | null | undefined {
  return before?.every((element, index) => element === after[index]) === false ? after : before
}

/** The object with the changes, or the object itself if they change nothing. */
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
