import { AWS_ENV, SECRETS } from '../../../contract/names.ts'
import type { AppSide } from '../inject/deliveries.ts'
import { canonicalPath, isAtOrBelow } from '../paths.ts'
import type { Container, EnvVar, Pod, VolumeMount } from '../pod.ts'

/** Mounts that conflict with those of nocreds, or do not have the intended effect. */
export function mountWarnings(
  { name, env, volumeMounts }: Container,
  app: AppSide,
  pod: Pod,
): string[] {
  const isInjected = ({ name: one, value }: EnvVar): boolean =>
    app.env.some((injected) => injected.name === one && injected.value === value)
  const readsNoKeys = (): boolean =>
    app.env.some((injected) => injected.name === AWS_ENV.credentialsFile) &&
    (env ?? []).every((one) => one.name !== AWS_ENV.credentialsFile || isInjected(one))
  const at = (mount: VolumeMount): string =>
    `nocreds: container ${name} mounts ${mount.name} at ${mount.mountPath}`
  const warnings: string[] = []
  for (const mount of volumeMounts ?? []) {
    if (isAtOrBelow(SECRETS, mount.mountPath) && isReadOnly(mount, pod)) {
      warnings.push(
        `${at(mount)}, read-only and above the folder of nocreds, which cannot be created there, so the container does not start; mount it elsewhere`,
      )
    } else if (isOfKeys(mount.mountPath) && readsNoKeys()) {
      warnings.push(
        `${at(mount)}, but keys in a credentials file would take precedence over nocreds, so it is not read; if it must be read, set ${AWS_ENV.credentialsFile} of the container to it`,
      )
    }
  }
  return warnings
}

/** True for the folder or the file where SDKs look for keys. */
function isOfKeys(mountPath: string): boolean {
  return mountPath.includes('.aws') && /\/[.]aws(?:\/credentials)?$/.test(canonicalPath(mountPath))
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
