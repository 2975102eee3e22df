import { EXCHANGER } from '../../../contract/names.ts'
import type { Container, Pod } from '../pod.ts'
import { sidecarTasks, type Injection } from './injection.ts'

/**
 * Service meshes: if a mesh redirects the traffic of a pod before any container runs (by a CNI plugin), nothing
 * reaches the network until the mesh's proxy is up. So the sidecar of nocreds starts directly after a proxy that is a native
 * sidecar, and first if there is none.
 */

/**
 * The init containers with the sidecar at its place. An existing one keeps its place, unless that is before a proxy:
 * then the webhook of the mesh ran after that of nocreds.
 */
export function placed(
  list: readonly Container[] | null | undefined,
  injected: Container,
  meshProxies: readonly string[],
): readonly Container[] | null | undefined {
  const present = list ?? []
  if (present.length === 0) return [injected]
  const proxy = present.findLastIndex((one) => isNativeProxy(one, meshProxies))
  const at = present.findIndex(({ name }) => name === injected.name)
  if (at > proxy) return list
  const found = present[at]
  const others = found === undefined ? present : present.toSpliced(at, 1)
  // Removing the sidecar from before the proxy moves the proxy one place forward.
  return others.toSpliced(found === undefined ? proxy + 1 : proxy, 0, found ?? injected)
}

function isNativeProxy(
  { name, restartPolicy }: Container,
  meshProxies: readonly string[],
): boolean {
  return restartPolicy === 'Always' && meshProxies.includes(name)
}

/** Init containers of the meshes themselves, which need no credentials. */
const VALIDATORS = ['istio-validation', 'linkerd-network-validator']
const MESH_INIT = [...VALIDATORS, 'istio-init', 'linkerd-init']

/** The annotations by which a pod keeps ports off the proxy. Source: Istio, "Resource Annotations"; Linkerd, "Proxy Configuration". */
const EXCLUDE_PORTS = {
  'istio-proxy': 'traffic.sidecar.istio.io/excludeOutboundPorts',
  'linkerd-proxy': 'config.linkerd.io/skip-outbound-ports',
} as const

/** What the person who applies a pod of a mesh should know; for a pod as it is admitted. */
export function meshWarnings(pod: Pod, injection: Injection): string[] {
  if ((pod.spec.initContainers ?? []).length === 0) return [] // no mesh without one
  if (sidecarTasks(injection) === undefined) return []
  return [...unreachableWarning(pod, injection), ...earlyWarnings(pod, injection)]
}

/**
 * A proxy that is an ordinary container, behind a CNI plugin (which the mesh's validator shows): the plugin redirects
 * the sidecar's traffic to a proxy that starts only after it.
 */
function unreachableWarning(pod: Pod, injection: Injection): string[] {
  const init = pod.spec.initContainers ?? []
  const hasPlugin = init.some(({ name }) => VALIDATORS.includes(name))
  const proxy = pod.spec.containers.find(({ name }) => injection.meshProxies.includes(name))?.name
  if (!hasPlugin || proxy === undefined) return []
  if (init.some((one) => isNativeProxy(one, injection.meshProxies))) return []
  const ports = portsOf(injection).filter((port) => !isExcluded(pod, port))
  if (ports.length === 0) return []
  const annotations = Object.entries(EXCLUDE_PORTS).filter(([name]) => name === proxy)
  const keys = (annotations.length === 0 ? Object.entries(EXCLUDE_PORTS) : annotations).map(
    ([, key]) => `${key}: ${JSON.stringify(ports.join(','))}`,
  )
  return [
    `nocreds: ${EXCHANGER.container} starts before ${proxy}, to which the CNI plugin of the mesh redirects its calls, so the pod would not start; annotate the pod with ${keys.join(' or ')}, or have the mesh inject ${proxy} as a native sidecar`,
  ]
}

/** The ports that the sidecar calls. */
function portsOf(injection: Injection): string[] {
  const tasks = sidecarTasks(injection)
  const urls = [
    ...(tasks?.credentials === undefined ? [] : [injection.stsEndpoint ?? 'https://sts']),
    ...(tasks?.certificate === undefined ? [] : [injection.authorityUrl]),
  ].map((url) => new URL(url))
  return [
    ...new Set(urls.map(({ port, protocol }) => port || (protocol === 'http:' ? '80' : '443'))),
  ]
}

/** Whether an annotation names the port, alone or in a range. */
function isExcluded({ metadata: { annotations } }: Pod, port: string): boolean {
  return Object.values(EXCLUDE_PORTS).some((key) =>
    (annotations?.[key] ?? '').split(',').some((part) => {
      const [first = '', last = first] = part.trim().split('-')
      return part.trim() === '*' || (Number(first) <= Number(port) && Number(port) <= Number(last))
    }),
  )
}

/** Init containers that do not wait for the sidecar, because they start before the proxy that it waits for. */
function earlyWarnings(pod: Pod, { meshProxies, request }: Injection): string[] {
  const init = pod.spec.initContainers ?? []
  const proxy = init.findLastIndex((one) => isNativeProxy(one, meshProxies))
  const isServed = ({ name }: Container): boolean =>
    ![EXCHANGER.container, ...MESH_INIT, ...meshProxies, ...request.skipContainers].includes(name)
  return init
    .slice(0, Math.max(0, proxy))
    .filter(isServed)
    .map(
      ({ name }) =>
        `nocreds: init container ${name} starts before ${EXCHANGER.container}, which waits for ${init[proxy]?.name ?? ''}, so it finds no credentials; put it after that proxy, or name it in nocreds.dev/skip-containers`,
    )
}
