import {
  CERTIFICATE_SOURCE_NAMES,
  CERTIFICATE_SOURCES,
  type CertificateSource,
} from '../../../contract/certificate-source.ts'
import {
  AUTHORITY,
  AUTHORITY_VOLUME,
  CLUSTER_TRUST_BUNDLE,
  KEY_TYPE,
  TLS_DIR_ENV,
  TLS_FILES,
  TLS_VOLUME,
  TRUST_BUNDLE,
} from '../../../contract/certificates.ts'
import { CERTIFICATE_DNS_NAMES } from '../../../contract/names.ts'
import type { WantedCertificate } from '../../../contract/wanted.ts'
import type { EnvVar, Volume, VolumeMount } from '../pod.ts'
import { mountOf, type Injection, type TrustBundleSource } from './injection.ts'

/**
 * The CAs that peers accept, as a source of a projected volume.
 * Source: Kubernetes API reference, ClusterTrustBundleProjection.
 */
function trustBundleAs(path: string, source: TrustBundleSource): object {
  return source === 'cluster-trust-bundle'
    ? { clusterTrustBundle: { name: CLUSTER_TRUST_BUNDLE.name, path } }
    : { configMap: { name: TRUST_BUNDLE.configMap, items: [{ key: TRUST_BUNDLE.key, path }] } }
}

function projected(name: string, ...sources: readonly object[]): Volume {
  return { name, projected: { defaultMode: 0o644, sources: [...sources] } }
}

/** Token and trust bundle with which the sidecar calls the authority. */
function authorityVolume(source: TrustBundleSource): Volume {
  const { name, files, tokenExpirationSeconds } = AUTHORITY_VOLUME
  const serviceAccountToken = {
    audience: AUTHORITY.audience,
    expirationSeconds: tokenExpirationSeconds,
    path: files.token,
  }
  return projected(name, { serviceAccountToken }, trustBundleAs(files.trustBundle, source))
}

/** Where the sidecar publishes: in memory, so the key is never on a disk. */
function publishedVolume(): Volume {
  return { name: TLS_VOLUME.name, emptyDir: { medium: 'Memory', sizeLimit: TLS_VOLUME.sizeLimit } }
}

/**
 * Key and certificate that the kubelet generates and requests.
 * Source: Kubernetes API reference, PodCertificateProjection.
 */
function kubeletVolume(
  { durationSeconds, dnsNames }: WantedCertificate,
  source: TrustBundleSource,
): Volume {
  const podCertificate = {
    signerName: AUTHORITY.signerName,
    keyType: KEY_TYPE,
    maxExpirationSeconds: durationSeconds,
    certificateChainPath: TLS_FILES.certificate,
    keyPath: TLS_FILES.key,
    ...(dnsNames.length === 0
      ? {}
      : { userAnnotations: { [CERTIFICATE_DNS_NAMES]: dnsNames.join(',') } }),
  }
  return projected(
    TLS_VOLUME.name,
    { podCertificate },
    trustBundleAs(TLS_FILES.trustBundle, source),
  )
}

/** The volumes that this source needs; the driver brings its own token and trust bundle. */
export function certificateVolumes(
  certificate: WantedCertificate,
  { certificateSource, trustBundle, request: { exchanger } }: Injection,
): readonly Volume[] {
  if (CERTIFICATE_SOURCES[certificateSource].requestedBy === 'kubelet')
    return [kubeletVolume(certificate, trustBundle)]
  return exchanger === 'driver'
    ? [publishedVolume()]
    : [authorityVolume(trustBundle), publishedVolume()]
}

/** What the sidecar mounts for a certificate. */
export const CERTIFICATE_SIDECAR_MOUNTS: readonly VolumeMount[] = [
  mountOf(AUTHORITY_VOLUME, 'read'),
  mountOf(TLS_VOLUME, 'write'),
]

function appMountOf(source: CertificateSource): VolumeMount {
  const mount = mountOf(TLS_VOLUME, 'read')
  const { appSubPath } = CERTIFICATE_SOURCES[source]
  return appSubPath === undefined ? mount : { ...mount, subPath: appSubPath }
}

const APP_MOUNTS = Object.fromEntries(
  CERTIFICATE_SOURCE_NAMES.map((source) => [source, appMountOf(source)]),
) as Readonly<Record<CertificateSource, VolumeMount>>

/** What the app's containers mount; it looks the same for both sources. */
export function certificateMount(source: CertificateSource): VolumeMount {
  return APP_MOUNTS[source]
}

export const CERTIFICATE_ENV: EnvVar = { name: TLS_DIR_ENV, value: TLS_VOLUME.mountPath }
