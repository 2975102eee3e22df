import { TLS_VOLUME } from './certificates.ts'

interface CertificateSourceRow {
  /** Who makes the key and requests the certificate. */
  readonly requestedBy: 'sidecar' | 'kubelet'
  /** The folder of the volume that the app mounts; undefined: the whole volume. */
  readonly appSubPath: string | undefined
}

/**
 * Where a pod's certificate comes from. `authority`: the sidecar requests it from the authority of nocreds;
 * `pod-certificate`: the kubelet does, by a PodCertificateRequest.
 */
export const CERTIFICATE_SOURCES = {
  authority: { requestedBy: 'sidecar', appSubPath: TLS_VOLUME.publishedPath },
  'pod-certificate': { requestedBy: 'kubelet', appSubPath: undefined },
} as const satisfies Readonly<Record<string, CertificateSourceRow>>

export type CertificateSource = keyof typeof CERTIFICATE_SOURCES

export const CERTIFICATE_SOURCE_NAMES = Object.keys(CERTIFICATE_SOURCES) as CertificateSource[]
