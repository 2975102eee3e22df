import { TLS_DIR_ENV } from '../../contract/certificates.ts'
import {
  AWS_ENV,
  CONFLICTING_ENV,
  ENDPOINT,
  EXCHANGER,
  PREFIX,
  SECRETS,
} from '../../contract/names.ts'
import { defaultRegionOf, partitionOf } from '../../contract/role-arn.ts'
import { appSide, hasOtherRole, type AppSide } from './deliveries.ts'
import { meshWarnings } from './mesh.ts'
import { sidecarTasks, type Injection } from './ours/injection.ts'
import { putBack, repaired } from './ours/repaired.ts'
import { isSame } from './ours/same.ts'
import { ourSidecars } from './ours/whole.ts'
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
      ...(hasOtherRole(container, app)
        ? [otherRoleWarning(container, injection)]
        : envWarnings(container, variablesInTheWay(container, app, conflicting), () =>
            variablesInTheWay(container, appSide(injection, unnamed(pod)), conflicting),
          )),
      ...mountWarnings(container, app, pod),
      ...portWarnings(container, injection),
    ]),
    ...dnsWarnings(pod, injection),
    ...(served.length === 0 ? [] : stsWarnings(injection)),
    ...skipWarnings(pod, skipped),
    ...putBackWarnings(pod, injection),
    ...meshWarnings(pod, injection),
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

/** As it was before it had its name: another webhook may give it one between two passes. */
function unnamed(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, name: undefined } }
}

/** @param inTheWay by name; those count that are also `inAnyForm` of what we set */
function envWarnings(
  { name }: Container,
  inTheWay: readonly string[],
  inAnyForm: () => readonly string[],
): string[] {
  if (inTheWay.length === 0) return []
  const lasting = inAnyForm()
  return inTheWay
    .filter((one) => lasting.includes(one))
    .map(
      (one) =>
        `nocreds: container ${name} sets ${one}, which wins over the ${LOSERS[one] ?? 'credentials'} of nocreds; remove it`,
    )
}

/** Mounts that stand in our way, or in the way of what the person who mounts them wants. */
function mountWarnings({ name, env, volumeMounts }: Container, app: AppSide, pod: Pod): string[] {
  const isOurs = ({ name: one, value }: EnvVar): boolean =>
    app.env.some((ours) => ours.name === one && ours.value === value)
  const readsNoKeys = (): boolean =>
    app.env.some((ours) => ours.name === AWS_ENV.credentialsFile) &&
    (env ?? []).every((one) => one.name !== AWS_ENV.credentialsFile || isOurs(one))
  const at = (mount: VolumeMount): string =>
    `nocreds: container ${name} mounts ${mount.name} at ${mount.mountPath}`
  const warnings: string[] = []
  for (const mount of volumeMounts ?? []) {
    if (isAtOrBelow(SECRETS, mount.mountPath) && isReadOnly(mount, pod)) {
      warnings.push(
        `${at(mount)}, read-only and above the folder of nocreds, which cannot be made there, so that the container does not start; mount it elsewhere`,
      )
    } else if (isOfKeys(mount.mountPath) && readsNoKeys()) {
      warnings.push(
        `${at(mount)}, but keys in a credentials file would win over nocreds, so that it is not read; to have it read all the same, set ${AWS_ENV.credentialsFile} of the container to it`,
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

/** The exchanger listens in the network of the pod, which has each port once. */
function portWarnings({ name, ports }: Container, { request }: Injection): string[] {
  if (request.credentials?.delivery !== 'endpoint' || !Array.isArray(ports)) return []
  const isTaken = ports.some(
    (one) => (one as { containerPort?: unknown } | null)?.containerPort === ENDPOINT.port,
  )
  if (!isTaken) return []
  return [
    `nocreds: container ${name} has containerPort ${ENDPOINT.port}, on which delivery endpoint serves credentials on loopback, so one of the two cannot listen; use another port, or ${PREFIX}delivery: process`,
  ]
}

/** Without the cluster's DNS nobody finds a Service by its name, and the exchanger waits in vain. */
function dnsWarnings({ spec }: Pod, injection: Injection): string[] {
  const why = whyNoClusterDns(spec)
  if (why === undefined) return []
  const tasks = sidecarTasks(injection)
  return [tasks?.certificate && injection.authorityUrl, tasks?.credentials && injection.stsEndpoint]
    .flatMap((url) => (url === undefined ? [] : [new URL(url).hostname]))
    .filter((host) => /[.]svc(?:[.]|$)/.test(host) && !isAliased(spec, host))
    .map((host) => `nocreds: the exchanger asks ${host}, but ${why}`)
}

/** Source: Kubernetes, "Pod's DNS Policy". */
function whyNoClusterDns({ dnsPolicy, hostNetwork }: Pod['spec']): string | undefined {
  const policy = dnsPolicy ?? 'ClusterFirst'
  if (policy === 'None') {
    return "the pod brings its own DNS (dnsPolicy None); its dnsConfig must name the cluster's DNS, or it does not start"
  }
  const isOfHost = hostNetwork === true
  if (policy !== 'Default' && !(policy === 'ClusterFirst' && isOfHost)) return undefined
  const [how, instead] = isOfHost
    ? ['hostNetwork with ', 'ClusterFirstWithHostNet']
    : ['', 'ClusterFirst']
  return `the pod uses its node's DNS (${how}dnsPolicy ${policy}), where that is not known, so it does not start; set dnsPolicy: ${instead}`
}

/** By `hostAliases`, which need no DNS. */
function isAliased(spec: Pod['spec'], host: string): boolean {
  return JSON.stringify(spec['hostAliases'] ?? []).includes(`"${host}"`)
}

/** A variable that we set ourselves is in the way only where the container gives it another value. */
function variablesInTheWay(
  { env }: Container,
  app: AppSide,
  conflicting: readonly string[],
): string[] {
  const standsInTheWay = (variable: EnvVar): boolean => {
    const ours = app.env.find((one) => one.name === variable.name)
    if (ours === undefined) return conflicting.includes(variable.name)
    return variable.name !== AWS_ENV.metadataDisabled && !isSame(variable, ours)
  }
  return (env ?? []).filter(standsInTheWay).map(({ name }) => name)
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
