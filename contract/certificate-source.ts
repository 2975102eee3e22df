/**
 * Where a pod's certificate comes from. `authority`: the sidecar requests it from the authority of nocreds;
 * `pod-certificate`: the kubelet does, by a PodCertificateRequest.
 */
export const CERTIFICATE_SOURCES = ['authority', 'pod-certificate'] as const
export type CertificateSource = (typeof CERTIFICATE_SOURCES)[number]
