import { AWS_ENV, INJECTED_ROLE, PREFIX } from '../../contract/names.ts'
import { appSide, sideOf, type AppSide } from './deliveries.ts'
import type { Injection } from './ours/injection.ts'
import { ourSidecars, ourVolumes } from './ours/whole.ts'
import type { Container, EnvVar, Pod, VolumeMount } from './pod.ts'

/**
 * The pod with all that nocreds gives it. Pure and idempotent: what is already there is not added
 * again, and a pod that has everything is returned as it is, by reference.
 *
 * Expects a pod that passed the checks: volumes and containers of our names are ours.
 */
export function inject(pod: Pod, injection: Injection): Pod {
  const app = appSide(injection, pod)
  const skipped = injection.request.skipContainers
  const serve = (container: Container): Container =>
    skipped.includes(container.name) ? container : withAppSide(container, app)

  const sidecars = ourSidecars(injection)
  const ours = sidecars.map((sidecar) => sidecar.name)
  const initContainers = (pod.spec.initContainers ?? []).map((container) =>
    ours.includes(container.name) ? container : serve(container),
  )
  return keepIfEqual(pod, {
    metadata: keepIfEqual(pod.metadata, { annotations: withMarks(pod, injection) }),
    spec: keepIfEqual(pod.spec, {
      volumes: withMissing(pod.spec.volumes, ourVolumes(injection), 'last'),
      initContainers: withMissing(
        keepList(pod.spec.initContainers, initContainers),
        sidecars,
        'first',
      ),
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

function withAppSide(container: Container, ofPod: AppSide): Container {
  const app = sideOf(container, ofPod)
  const before = container.env ?? []
  const region = before.some(namesRegion) ? [] : app.regionEnv
  const filled = withoutEmpty(before, region)
  const wanted = [...app.env, ...region]
  const regional = [...before, ...wanted].some(namesRegion) ? app.regionalEnv : []
  const missing = [...wanted, ...regional].filter(
    (one) => !filled.some((other) => other.name === one.name),
  )
  const mounts = container.volumeMounts ?? []
  const isMounted = ({ mountPath }: VolumeMount): boolean =>
    mounts.some((mount) => mount.mountPath === mountPath)
  const missingMounts = app.mounts.filter((mount) => !isMounted(mount))
  return keepIfEqual(container, {
    env: missing.length === 0 && filled === before ? container.env : [...filled, ...missing],
    volumeMounts:
      missingMounts.length === 0 ? container.volumeMounts : [...mounts, ...missingMounts],
  })
}

const REGION_NAMES: readonly string[] = [AWS_ENV.region, AWS_ENV.defaultRegion]

/** An empty one, as charts have it by default, names none. */
function namesRegion({ name, value, valueFrom }: EnvVar): boolean {
  return REGION_NAMES.includes(name) && (Boolean(value) || Boolean(valueFrom))
}

/** The variables with those of `region` in the place of empty ones; the same list without such. */
function withoutEmpty(env: readonly EnvVar[], region: readonly EnvVar[]): readonly EnvVar[] {
  const inPlace = (one: EnvVar): EnvVar => region.find(({ name }) => name === one.name) ?? one
  return env.some((one) => inPlace(one) !== one) ? env.map(inPlace) : env
}

/** The list with those of `wanted` that it lacks by name; the same list where it lacks none. */
function withMissing<T extends { readonly name: string }>(
  list: readonly T[] | null | undefined,
  wanted: readonly T[],
  where: 'first' | 'last',
): readonly T[] | null | undefined {
  const present = list ?? []
  const missing = wanted.filter((one) => !present.some((other) => other.name === one.name))
  if (missing.length === 0) return list
  return where === 'first' ? [...missing, ...present] : [...present, ...missing]
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
