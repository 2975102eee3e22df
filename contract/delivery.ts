import type { AWS_ENV, CREDENTIALS_FILES } from './names.ts'
import { oneOf, partsOf, type ValueKind } from './values.ts'

/** What a delivery is made of. Everything that differs between two of them is derived from this. */
interface DeliveryRow {
  /** What the sidecar gives the app: files alone, or an endpoint, too. `none`: there is no sidecar for credentials. */
  readonly sidecar: 'files' | 'endpoint' | 'none'
  /** Who holds the token for STS. If it is the app, the Namespace must permit that. */
  readonly token: 'sidecar' | 'app'
  /** The volume that the app mounts; both are mounted for reading only. */
  readonly appMount: 'credentials' | 'token'
  /** Variables that lead the app's SDK to its credentials; the last ones may be absent. */
  readonly appEnv: readonly (keyof typeof AWS_ENV)[]
  /** Files on the app's volume without which it finds no credentials. */
  readonly files: readonly (keyof typeof CREDENTIALS_FILES)[]
  /** True if the sidecar listens on loopback, which a pod with hostNetwork shares with its node. */
  readonly needsOwnLoopback: boolean
}

/** How the credentials reach the app. The order is that of messages and of the pages. */
export const DELIVERIES = {
  process: {
    sidecar: 'files',
    token: 'sidecar',
    appMount: 'credentials',
    appEnv: ['configFile', 'credentialsFile'],
    files: ['document', 'config'],
    needsOwnLoopback: false,
  },
  endpoint: {
    sidecar: 'endpoint',
    token: 'sidecar',
    appMount: 'credentials',
    appEnv: ['containerUri', 'containerTokenFile'],
    files: ['document', 'authorization'],
    needsOwnLoopback: true,
  },
  'web-identity': {
    sidecar: 'none',
    token: 'app',
    appMount: 'token',
    appEnv: ['roleArn', 'tokenFile', 'sessionName', 'stsEndpoint'],
    files: [],
    needsOwnLoopback: false,
  },
} as const satisfies Readonly<Record<string, DeliveryRow>>

export type Delivery = keyof typeof DELIVERIES

/** A delivery with a sidecar. */
export type SidecarDelivery = {
  [Name in Delivery]: (typeof DELIVERIES)[Name]['sidecar'] extends 'none' ? never : Name
}[Delivery]

export const DELIVERY_NAMES = /* @__PURE__ */ Object.keys(DELIVERIES) as Delivery[]

export function rowOf(delivery: Delivery): DeliveryRow {
  return DELIVERIES[delivery]
}

/** True if the sidecar exchanges the token; otherwise the SDK of the app does. */
export function hasSidecar(delivery: Delivery): delivery is SidecarDelivery {
  return rowOf(delivery).sidecar !== 'none'
}

/** True if the app itself holds the token for STS. */
export function appHoldsToken(delivery: Delivery): boolean {
  return rowOf(delivery).token === 'app'
}

export const SIDECAR_DELIVERIES: readonly SidecarDelivery[] =
  /* @__PURE__ */ DELIVERY_NAMES.filter(hasSidecar)

/** Deliveries that a Namespace must permit. */
export const TOKEN_DELIVERIES: readonly Delivery[] =
  /* @__PURE__ */ DELIVERY_NAMES.filter(appHoldsToken)

/** What pods may use if the Namespace does not say: the deliveries with which the app does not hold the token. */
export const DEFAULT_PERMITTED_DELIVERIES: readonly Delivery[] =
  /* @__PURE__ */ DELIVERY_NAMES.filter((delivery) => !appHoldsToken(delivery))

/** A delivery as text. */
export const delivery: ValueKind<Delivery> = /* @__PURE__ */ oneOf(...DELIVERY_NAMES)

/** Deliveries separated by commas; a blank text is an empty list. */
export const deliveries: ValueKind<readonly Delivery[]> = {
  allowed: `deliveries separated by commas: ${DELIVERY_NAMES.join(', ')}`,
  parse(value) {
    const parsed = partsOf(value).map((part) => delivery.parse(part))
    return parsed.every((one) => one !== undefined) ? parsed : undefined
  },
  format: (all) => all.join(','),
}
