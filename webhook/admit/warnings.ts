import { AWS_ENV, CONFLICTING_ENV, EXCHANGER } from '../../contract/names.ts'
import { appSide, type AppSide } from './deliveries.ts'
import { isSame, type Injection } from './ours.ts'
import { containersOf, type Container, type EnvVar, type Pod } from './pod.ts'

/**
 * What the person who applies the pod should know: variables of their own that stand in the way, and
 * names that no container has. The apiserver hands these on to `kubectl`.
 */
export function warningsFor(pod: Pod, injection: Injection): string[] {
  const app = appSide(injection, pod)
  const skipped = injection.request.skipContainers
  const served = containersOf(pod).filter(
    ({ name }) => name !== EXCHANGER.container && !skipped.includes(name),
  )
  return [
    ...served.flatMap((container) => envWarnings(container, app)),
    ...skipWarnings(pod, skipped),
  ]
}

function envWarnings(container: Container, app: AppSide): string[] {
  return (container.env ?? [])
    .filter((one) => standsInTheWay(one, app))
    .map(
      (one) =>
        `nocreds: container ${container.name} sets ${one.name}, which wins over the credentials of nocreds; remove it`,
    )
}

/** A variable that we set ourselves is in the way only where the container gives it another value. */
function standsInTheWay(variable: EnvVar, app: AppSide): boolean {
  const ours = app.env.find((one) => one.name === variable.name)
  if (ours !== undefined)
    return variable.name !== AWS_ENV.metadataDisabled && !isSame(variable, ours)
  return CONFLICTING_ENV.includes(variable.name)
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
