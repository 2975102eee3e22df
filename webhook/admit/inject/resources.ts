import { MIN_LIMITS, type ExchangerResources } from '../../../contract/exchanger-resources.ts'
import { EXCHANGER } from '../../../contract/names.ts'
import { largerOf, nanosOf } from '../../../contract/quantity.ts'
import { containersOf, type Container, type Pod, type Resources } from '../pod.ts'

/** What decides a pod's class of quality of service. Source: Kubernetes, "Pod Quality of Service Classes". */
const DECISIVE = ['cpu', 'memory'] as const

/**
 * The resources of the sidecar in this pod; undefined: none.
 *
 * - A pod with resources of its own (`spec.resources`) gets none: they hold for all its containers, and the
 *   apiserver refuses containers that want more than they say.
 * - A Guaranteed pod stays one, so that it keeps its exclusive CPUs: requests equal limits.
 * - All others get what is configured.
 */
export function sidecarResources(wanted: ExchangerResources, pod: Pod): Resources | undefined {
  if (hasResources(pod)) return undefined
  return isGuaranteed(pod) ? guaranteed(wanted) : asWanted(wanted)
}

/** Most pods get what the settings say, which is the same object for all of them. */
const AS_WANTED = new WeakMap<ExchangerResources, Resources>()

function asWanted(wanted: ExchangerResources): Resources {
  let resources = AS_WANTED.get(wanted)
  if (resources === undefined) {
    resources = { ...nested(wanted, 'requests'), ...nested(wanted, 'limits') }
    AS_WANTED.set(wanted, resources)
  }
  return resources
}

function nested(wanted: ExchangerResources, kind: 'requests' | 'limits'): Resources {
  const values: Record<string, string> = {}
  for (const name of ['cpu', 'memory', 'ephemeral-storage'] as const) {
    const value = wanted[`${kind}.${name}`]
    if (value !== undefined) values[name] = value
  }
  return Object.keys(values).length === 0 ? {} : { [kind]: values }
}

/** Every form that the sidecar's resources can have, for any pod. */
export function formsOf(wanted: ExchangerResources): readonly (Resources | undefined)[] {
  return [undefined, asWanted(wanted), guaranteed(wanted)]
}

function hasResources({ spec: { resources } }: Pod): boolean {
  return [resources?.requests, resources?.limits].some((one) => Object.keys(one ?? {}).length > 0)
}

/**
 * Whether the pod would be Guaranteed without the sidecar: every container has a limit for CPU and memory, and a
 * request that is the same. A request that is missing is the limit, as the apiserver fills it in.
 */
export function isGuaranteed(pod: Pod): boolean {
  const others = containersOf(pod).filter(({ name }) => name !== EXCHANGER.container)
  return others.length > 0 && others.every(isEven)
}

function isEven({ resources }: Container): boolean {
  const limits = resources?.limits
  if (!limits) return false
  return DECISIVE.every((name) => {
    const limit = nanosOf(limits[name])
    if (limit === undefined || limit === 0n) return false
    const request = resources.requests?.[name] ?? limits[name]
    return request === limits[name] || nanosOf(request) === limit
  })
}

/** The limits, or else the requests, but enough to start. */
function guaranteed(wanted: ExchangerResources): Resources {
  const { requests, limits } = asWanted(wanted)
  const equal = Object.fromEntries(
    DECISIVE.map((name) => [
      name,
      wanted[`limits.${name}`] ?? largerOf(wanted[`requests.${name}`] ?? '0', MIN_LIMITS[name]),
    ]),
  )
  return { requests: { ...requests, ...equal }, limits: { ...limits, ...equal } }
}
