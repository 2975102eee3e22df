import { TLS_DIR_ENV } from '../../contract/certificates.ts'
import { AWS_ENV, CONFLICTING_ENV, EXCHANGER, PREFIX, SECRETS } from '../../contract/names.ts'
import { appSide, type AppSide } from './deliveries.ts'
import type { Injection } from './ours/injection.ts'
import { isSame } from './ours/same.ts'
import { canonicalPath, isAtOrBelow } from './paths.ts'
import { containersOf, type Container, type EnvVar, type Pod, type VolumeMount } from './pod.ts'

/**
 * What the person who applies the pod should know: variables of their own that stand in the way, and
 * names that no container has. The apiserver hands these on to `kubectl`.
 */
export function warningsFor(pod: Pod, injection: Injection): string[] {
  const app = appSide(injection, pod)
  const conflicting = injection.request.credentials === undefined ? [] : CONFLICTING_ENV
  const skipped = injection.request.skipContainers
  const served = containersOf(pod).filter(
    ({ name }) => name !== EXCHANGER.container && !skipped.includes(name),
  )
  return [
    ...served.flatMap((container) => [
      ...envWarnings(container, app, conflicting),
      ...mountWarnings(container, app, pod),
    ]),
    ...skipWarnings(pod, skipped),
  ]
}

function envWarnings(container: Container, app: AppSide, conflicting: readonly string[]): string[] {
  const loser = ({ name }: EnvVar): string => (name === TLS_DIR_ENV ? 'folder' : 'credentials')
  return (container.env ?? [])
    .filter((one) => standsInTheWay(one, app, conflicting))
    .map(
      (one) =>
        `nocreds: container ${container.name} sets ${one.name}, which wins over the ${loser(one)} of nocreds; remove it`,
    )
}

/** Mounts that stand in our way, or in the way of what the person who mounts them wants. */
function mountWarnings({ name, env, volumeMounts }: Container, app: AppSide, pod: Pod): string[] {
  const isOurs = ({ name: one, value }: EnvVar): boolean =>
    app.env.some((ours) => ours.name === one && ours.value === value)
  const readsNoKeys =
    app.env.some((ours) => ours.name === AWS_ENV.credentialsFile) &&
    (env ?? []).every((one) => one.name !== AWS_ENV.credentialsFile || isOurs(one))
  return (volumeMounts ?? []).flatMap((mount) => {
    const at = `nocreds: container ${name} mounts ${mount.name} at ${mount.mountPath}`
    if (isReadOnly(mount, pod) && isAtOrBelow(SECRETS, mount.mountPath)) {
      return [
        `${at}, read-only and above the folder of nocreds, which cannot be made there, so that the container does not start; mount it elsewhere`,
      ]
    }
    if (readsNoKeys && /\/[.]aws(?:\/credentials)?$/.test(canonicalPath(mount.mountPath))) {
      return [
        `${at}, but keys in a credentials file would win over nocreds, so that it is not read; to have it read all the same, set ${AWS_ENV.credentialsFile} of the container to it`,
      ]
    }
    return []
  })
}

/** Volumes of these kinds are mounted read-only whatever the mount says. Source: Kubernetes, "Volumes". */
const READ_ONLY_KINDS = ['configMap', 'secret', 'downwardAPI', 'projected', 'image'] as const

function isReadOnly({ name, readOnly }: VolumeMount, { spec }: Pod): boolean {
  const volume = spec.volumes?.find((one) => one.name === name)
  const isOfSuchKind = READ_ONLY_KINDS.some(
    (kind) => volume?.[kind] !== undefined && volume[kind] !== null,
  )
  return readOnly === true || isOfSuchKind
}

/** A variable that we set ourselves is in the way only where the container gives it another value. */
function standsInTheWay(variable: EnvVar, app: AppSide, conflicting: readonly string[]): boolean {
  const ours = app.env.find((one) => one.name === variable.name)
  if (ours !== undefined)
    return variable.name !== AWS_ENV.metadataDisabled && !isSame(variable, ours)
  return conflicting.includes(variable.name)
}

/** About annotations that change nothing, because no certificate is asked for. */
export function warningWithoutEffect(keys: readonly string[]): string {
  return `nocreds: ${keys.join(' and ')} without ${PREFIX}certificate: "true" gives no certificate`
}

function skipWarnings(pod: Pod, skipped: readonly string[]): string[] {
  const names = containersOf(pod)
    .map(({ name }) => name)
    .filter((name) => name !== EXCHANGER.container)
  return skipped
    .filter((name) => !names.includes(name))
    .map(
      (name) =>
        `nocreds: nocreds.dev/skip-containers names ${JSON.stringify(name)}, but the pod's containers are ${names.join(', ')}`,
    )
}
