import { TLS_DIR_ENV } from '../../contract/certificates.ts'
import { AWS_ENV, CONFLICTING_ENV, EXCHANGER, PREFIX } from '../../contract/names.ts'
import { defaultRegionOf, partitionOf } from '../../contract/role-arn.ts'
import { appSide, hasOtherRole, type AppSide } from './deliveries.ts'
import type { Injection } from './ours/injection.ts'
import { isSame } from './ours/same.ts'
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
    ...served.flatMap((container) =>
      hasOtherRole(container, app)
        ? [otherRoleWarning(container, injection)]
        : envWarnings(container, app, conflicting),
    ),
    ...(served.length === 0 ? [] : stsWarnings(injection)),
    ...skipWarnings(pod, skipped),
  ]
}

function otherRoleWarning({ name }: Container, { request }: Injection): string {
  const role = request.credentials?.role.arn ?? ''
  return `nocreds: container ${name} sets ${AWS_ENV.roleArn} to another role or from elsewhere, so it gets no token, no mount and no session name; remove it to get ${role}`
}

/** What leads this pod elsewhere than to the STS that its role is known to. */
function stsWarnings({ request: { credentials }, stsProxy, stsCa }: Injection): string[] {
  if (credentials === undefined) return []
  const { region, role, delivery } = credentials
  const warnings: string[] = []
  if (region !== undefined && partitionOf(region) !== role.partition) {
    warnings.push(
      `nocreds: ${PREFIX}region is ${region}, which is in partition ${partitionOf(region)}, but the role is in ${role.partition}: STS there does not know it; use a region such as ${defaultRegionOf(role)}, or remove it`,
    )
  }
  if (delivery === 'web-identity' && (stsProxy !== undefined || stsCa !== undefined)) {
    warnings.push(
      `nocreds: with delivery web-identity the app calls STS itself, and gets neither the proxy nor the CA of the cluster's settings; give it its own (HTTPS_PROXY, AWS_CA_BUNDLE), or use ${PREFIX}delivery: process`,
    )
  }
  return warnings
}

const LOSERS: Readonly<Record<string, string>> = {
  [TLS_DIR_ENV]: 'folder',
  [AWS_ENV.stsEndpoint]: 'STS endpoint',
}

function envWarnings(container: Container, app: AppSide, conflicting: readonly string[]): string[] {
  const loser = ({ name }: EnvVar): string => LOSERS[name] ?? 'credentials'
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
