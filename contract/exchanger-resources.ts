import { nanosOf } from './quantity.ts'
import type { ValueKind } from './values.ts'

/**
 * What can be set of the sidecar's resources, under the names of ResourceQuotas, and the bounds, both
 * inclusive. With less CPU or memory at hand, Node would start slowly or be killed; with more, one sidecar would keep
 * other pods off the node.
 */
const BOUNDS = {
  'requests.cpu': ['1m', '1'],
  'requests.memory': ['16Mi', '512Mi'],
  'requests.ephemeral-storage': ['1Mi', '1Gi'],
  'limits.cpu': ['100m', '4'],
  'limits.memory': ['64Mi', '1Gi'],
  'limits.ephemeral-storage': ['16Mi', '1Gi'],
} as const

type ResourceName = keyof typeof BOUNDS
const NAMES = Object.keys(BOUNDS) as ResourceName[]

/** Requests and limits of the sidecar, as quantities; what is not there is not set. */
export type ExchangerResources = Readonly<Partial<Record<ResourceName, string>>>

/** What the sidecar gets if neither flag nor annotation says otherwise. */
export const DEFAULT_EXCHANGER_RESOURCES: ExchangerResources = {
  'requests.cpu': '10m',
  'requests.memory': '24Mi',
  'limits.memory': '64Mi',
}

/** The minimum of both with which a sidecar starts and works in reasonable time. */
export const MIN_LIMITS = { cpu: BOUNDS['limits.cpu'][0], memory: BOUNDS['limits.memory'][0] }

function parse(text: string): ExchangerResources | undefined {
  const parsed: Partial<Record<ResourceName, string>> = {}
  for (const part of text.split(',')) {
    const [, key = '', quantity = ''] = /^\s*([a-z.-]+)=(\S+)\s*$/.exec(part) ?? []
    const name = NAMES.find((one) => one === key)
    if (name === undefined || parsed[name] !== undefined || !isInBounds(name, quantity)) {
      return undefined
    }
    parsed[name] = quantity
  }
  return excessOf(parsed) === undefined ? parsed : undefined
}

function isInBounds(name: ResourceName, quantity: string): boolean {
  const nanos = nanosOf(quantity)
  const [min, max] = BOUNDS[name]
  return nanos !== undefined && nanos >= (nanosOf(min) ?? 0n) && nanos <= (nanosOf(max) ?? 0n)
}

/** The first resource whose request is above its limit, such as `memory`; undefined if there is none. */
export function excessOf(resources: ExchangerResources): string | undefined {
  return (['cpu', 'memory', 'ephemeral-storage'] as const).find((name) => {
    const request = nanosOf(resources[`requests.${name}`])
    const limit = nanosOf(resources[`limits.${name}`])
    return request !== undefined && limit !== undefined && request > limit
  })
}

/** Requests and limits separated by commas, such as `requests.cpu=20m,limits.memory=96Mi`. */
export const exchangerResources: ValueKind<ExchangerResources> = {
  allowed: `quantities separated by commas, each name once, no request above its limit: ${NAMES.map(
    (name) => `${name}=${BOUNDS[name].join('–')}`,
  ).join(', ')}`,
  parse,
  format: (resources) =>
    Object.entries(resources)
      .map(([name, quantity]) => `${name}=${quantity}`)
      .join(','),
}
