/**
 * Where a pod's certificate comes from. `authority`: the sidecar asks the authority of nocreds;
 * `pod-certificate`: the kubelet asks it, by a PodCertificateRequest.
 */
export const CERTIFICATE_SOURCES = ['authority', 'pod-certificate'] as const
export type CertificateSource = (typeof CERTIFICATE_SOURCES)[number]
