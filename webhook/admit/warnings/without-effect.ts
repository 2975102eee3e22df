import { EXCHANGER, EXCHANGER_ANNOTATION, PREFIX } from '../../../contract/names.ts'
import { containersOf, type Pod } from '../pod.ts'

/** Warns of annotations without effect, because no certificate is requested. */
export function warningWithoutEffect(keys: readonly string[]): string {
  return `nocreds: ${keys.join(' and ')} without ${PREFIX}certificate: "true" has no effect`
}

/** Warns of annotations without effect, because the driver serves the pod: they are about the sidecar and its token. */
export function warningWithoutExchanger(keys: readonly string[]): string {
  return `nocreds: the driver serves this pod (${EXCHANGER_ANNOTATION}), so without effect: ${keys.join(', ')}`
}

export function skipWarnings(pod: Pod, skipped: readonly string[]): string[] {
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
