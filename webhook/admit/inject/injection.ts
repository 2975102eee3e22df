import {
  CERTIFICATE_SOURCES,
  type CertificateSource,
} from '../../../contract/certificate-source.ts'
import { AUTHORITY_VOLUME, TLS_VOLUME } from '../../../contract/certificates.ts'
import { MAX_ROLES, slotOf } from '../../../contract/container-roles.ts'
import { hasSidecar, type SidecarDelivery } from '../../../contract/delivery.ts'
import { DRIVER_VOLUME } from '../../../contract/driver-volume.ts'
import type { Exchanger } from '../../../contract/exchangers.ts'
import type { PullPolicy } from '../../../contract/image.ts'
import { TOKEN_VOLUME } from '../../../contract/names.ts'
import type { ExchangerUser } from '../../../contract/values.ts'
import type {
  InjectionRequest,
  WantedCertificate,
  WantedCredentials,
} from '../../../contract/wanted.ts'
import type { VolumeMount } from '../pod.ts'

/** The kind of object from which volumes take the trust bundle. */
export const TRUST_BUNDLE_SOURCES = ['config-map', 'cluster-trust-bundle'] as const
export type TrustBundleSource = (typeof TRUST_BUNDLE_SOURCES)[number]

/** Names reserved for nocreds: a pod that uses one for something else is denied. */
export const RESERVED_VOLUME_NAMES: readonly string[] = [
  TOKEN_VOLUME.name,
  ...Array.from({ length: MAX_ROLES }, (_, index) => slotOf(index).volume),
  AUTHORITY_VOLUME.name,
  TLS_VOLUME.name,
  DRIVER_VOLUME.name,
]

/** The flags that decide what is injected. */
export interface InjectionSettings {
  readonly exchangerImage: string
  /** Further images that an existing sidecar may have, such as the former one. */
  readonly exchangerImages: readonly string[]
  readonly exchangerImagePullPolicy: PullPolicy
  readonly exchangerUser: ExchangerUser
  /** Names of mesh proxies: the sidecar starts behind one that is a native sidecar. */
  readonly meshProxies: readonly string[]
  readonly stsEndpoint: string | undefined
  /** How sidecars reach STS, as written in the settings. */
  readonly stsProxy: string | undefined
  readonly stsNoProxy: string | undefined
  readonly stsCa: string | undefined
  /** Values of nocreds' own tags. */
  readonly clusterArn: string | undefined
  readonly clusterName: string | undefined
  readonly certificateSource: CertificateSource
  readonly trustBundle: TrustBundleSource
  /** Base URL of the authority. */
  readonly authorityUrl: string
}

/** Everything that decides what one pod gets. */
export interface Injection extends InjectionSettings {
  readonly request: InjectionRequest
  readonly namespace: string
  readonly serviceAccount: string
  /** Whether the session of a target role has nocreds' own tags. */
  readonly hasDefaultTags: boolean
}

type ExchangedCredentials = WantedCredentials & { readonly delivery: SidecarDelivery }

/** What the pod's exchanger does: everything that neither the SDK nor the kubelet does. */
export interface Tasks {
  readonly credentials: ExchangedCredentials | undefined
  readonly certificate: WantedCertificate | undefined
}

/** Undefined if the pod needs no sidecar. */
export function sidecarTasks(injection: Injection): Tasks | undefined {
  return tasksOf('sidecar', injection)
}

/** Undefined if the pod needs nothing of the driver. */
export function driverTasks(injection: Injection): Tasks | undefined {
  return tasksOf('driver', injection)
}

function tasksOf(
  exchanger: Exchanger,
  { request, certificateSource }: Injection,
): Tasks | undefined {
  if (request.exchanger !== exchanger) return undefined
  const credentials = isExchanged(request.credentials) ? request.credentials : undefined
  const { requestedBy } = CERTIFICATE_SOURCES[certificateSource]
  const certificate = requestedBy === 'sidecar' ? request.certificate : undefined
  if (credentials === undefined && certificate === undefined) return undefined
  return { credentials, certificate }
}

function isExchanged(
  credentials: WantedCredentials | undefined,
): credentials is ExchangedCredentials {
  return credentials !== undefined && hasSidecar(credentials.delivery)
}

/** Where a volume is mounted; the sidecar may write some of them. */
export function mountOf(
  { name, mountPath }: { readonly name: string; readonly mountPath: string },
  access: 'read' | 'write',
): VolumeMount {
  return access === 'read' ? { name, mountPath, readOnly: true } : { name, mountPath }
}
