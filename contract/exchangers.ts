import type { Delivery } from './delivery.ts'
import { oneOf, type ValueKind } from './values.ts'

interface ExchangerKind {
  /** Deliveries of credentials that it serves; with web-identity the app calls STS itself. */
  readonly deliveries: readonly Delivery[]
  /** Annotations, without prefix, that change nothing with it. */
  readonly withoutEffect: readonly ('token-expiration' | 'exchanger-resources')[]
}

/** What exchanges the token of a pod for credentials, and asks the authority for its certificate. */
export const EXCHANGERS = {
  /** A container in the pod. */
  sidecar: { deliveries: ['process', 'endpoint'], withoutEffect: [] },
  /** The CSI driver of the pod's node: no container, and no token, in the pod. */
  driver: { deliveries: ['process'], withoutEffect: ['token-expiration', 'exchanger-resources'] },
} as const satisfies Readonly<Record<string, ExchangerKind>>

export type Exchanger = keyof typeof EXCHANGERS

export const exchanger: ValueKind<Exchanger> = oneOf(...(Object.keys(EXCHANGERS) as Exchanger[]))

export const DEFAULT_EXCHANGER: Exchanger = 'sidecar'

/** What a pod needs of its exchanger. */
export interface ExchangerNeeds {
  /** Undefined without a role. */
  readonly delivery: Delivery | undefined
  /** Of the tokens that are exchanged. */
  readonly audiences: readonly string[]
}

/** Why an exchanger cannot do what a pod needs. */
export type Unserved =
  | { readonly what: 'delivery'; readonly value: Delivery; readonly allowed: readonly string[] }
  | { readonly what: 'audience'; readonly value: string; readonly allowed: readonly string[] }

/**
 * The first thing that the driver cannot do for a pod; undefined if it can do everything. The kubelet hands it tokens of
 * those audiences only that the CSIDriver requests.
 */
export function unservedByDriver(
  { delivery, audiences }: ExchangerNeeds,
  driverAudiences: readonly string[],
): Unserved | undefined {
  const served: readonly Delivery[] = EXCHANGERS.driver.deliveries
  if (delivery !== undefined && !served.includes(delivery)) {
    return { what: 'delivery', value: delivery, allowed: served }
  }
  const value = audiences.find((one) => !driverAudiences.includes(one))
  return value === undefined ? undefined : { what: 'audience', value, allowed: driverAudiences }
}
