import { TLS_DIR_ENV } from '../../contract/certificates.ts'
import { AWS_ENV, CONFLICTING_ENV, EXCHANGER, PREFIX } from '../../contract/names.ts'
import { appSide, type AppSide } from './deliveries.ts'
import { meshWarnings } from './mesh.ts'
import type { Injection } from './ours/injection.ts'
import { putBack, repaired } from './ours/repaired.ts'
import { isSame } from './ours/same.ts'
import { ourSidecars } from './ours/whole.ts'
import { containersOf, type Container, type EnvVar, type Pod } from './pod.ts'

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
    ...served.flatMap((container) => envWarnings(container, app, conflicting)),
    ...skipWarnings(pod, skipped),
    ...putBackWarnings(pod, injection),
    ...meshWarnings(pod, injection),
  ]
}

/** What we had to put back in our own container: its author should keep off it. */
function putBackWarnings(pod: Pod, injection: Injection): string[] {
  const found = pod.spec.initContainers?.find(({ name }) => name === EXCHANGER.container)
  if (found === undefined) return []
  const [ours] = ourSidecars(injection, pod)
  if (ours === undefined) return []
  const changed = putBack(found, repaired(found, ours, injection))
  if (changed.length === 0) return []
  const more = changed.length > 10 ? ', …' : ''
  return [
    `nocreds: container ${EXCHANGER.container} came otherwise than nocreds writes it (${listOf(changed.slice(0, 10))}${more}), from another webhook, an older version or by hand, and was put back; exclude that container in the other webhook, or take it out of the pod`,
  ]
}

function listOf(texts: readonly string[]): string {
  return texts.map((text) => (text.length > 100 ? `${text.slice(0, 100)}…` : text)).join(', ')
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
