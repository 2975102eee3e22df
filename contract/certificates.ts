/**
 * Every name of a workload's certificate that pod, authority and manifests must agree on, and how the
 * exchanger requests one from the authority.
 */
import { PREFIX, SECRETS } from './names.ts'

/** The issuing service. */
export const AUTHORITY = {
  service: 'nocreds-authority',
  namespace: 'nocreds-system',
  /** As pods reach it; a server certificate for this name is in its own bundle. */
  host: 'nocreds-authority.nocreds-system.svc',
  port: 8444,
  metricsPort: 9091,
  /** `POST`, with the token as `Authorization: Bearer`. */
  path: '/v1/certificates',
  /** `GET`, without a token: what is in the trust bundle is public. */
  trustBundlePath: '/v1/trust-bundle',
  /** Audience of the tokens with which pods authenticate. */
  audience: `${PREFIX}authority`,
  /** Name of the signer for the kubelet's PodCertificateRequests. */
  signerName: `${PREFIX}workload`,
} as const

/** The CAs that peers accept: a ConfigMap in every namespace that has the injection label. */
export const TRUST_BUNDLE = { configMap: 'nocreds-trust-bundle', key: 'ca.crt' } as const

/**
 * The same CAs as an object of the cluster, which projected volumes name from kubelet 1.37 on. Its name is one of
 * the signer's, which only those who may attest for it can write. Source: Kubernetes, "ClusterTrustBundles".
 */
export const CLUSTER_TRUST_BUNDLE = {
  name: `${PREFIX.slice(0, -1)}:workload:roots`,
  signerName: AUTHORITY.signerName,
} as const

/** What the exchanger needs to call the authority; no app mounts it. */
export const AUTHORITY_VOLUME = {
  name: 'nocreds-authority',
  mountPath: `${SECRETS}/authority`,
  files: { token: 'token', trustBundle: 'ca.crt' },
  tokenExpirationSeconds: 3600,
} as const

/**
 * Where key, certificate and trust bundle are in the app's containers.
 *
 * If the sidecar publishes them, the app mounts a folder in the volume, which the sidecar made: the volume's
 * own root is writable by all and sticky, and there Linux does not let a process follow a link of another user.
 * Source: Linux, Documentation/admin-guide/sysctl/fs.rst, protected_symlinks.
 */
export const TLS_VOLUME = {
  name: 'nocreds-tls',
  mountPath: `${SECRETS}/tls`,
  sizeLimit: '1Mi',
  publishedPath: 'published',
} as const

/** Files in it, each a symlink into the folder of the current generation. */
export const TLS_FILES = {
  /** PKCS #8, PEM. */
  key: 'tls.key',
  /** Leaf, then the intermediate; PEM. */
  certificate: 'tls.crt',
  /** The CAs that peers accept; PEM. */
  trustBundle: 'ca.crt',
} as const

/** Tells apps where the files are. */
export const TLS_DIR_ENV = 'NOCREDS_TLS_DIR'

/** The type of key that a pod makes. Source: PodCertificateProjection of the Kubernetes API. */
export const KEY_TYPE = 'ECDSAP256'

export const DEFAULT_CERTIFICATE_SECONDS = 3600
/** Bounds of what a pod may request, both inclusive; Kubernetes has the same minimum. */
export const CERTIFICATE_SECONDS = { min: 3600, max: 86_400 } as const

/** Bounds on what travels, in bytes. */
export const CERTIFICATE_LIMITS = {
  csrBytes: 16_384,
  requestBytes: 32_768,
  answerBytes: 262_144,
} as const

/** Body of the exchanger's `POST`. */
export interface CertificateRequest {
  /** PKCS #10, PEM. Only its key and its DNS names count. */
  readonly csr: string
  /** Seconds from notBefore to notAfter, CERTIFICATE_SECONDS. */
  readonly durationSeconds: number
}

/** Body of the response with status 200. */
export interface IssuedCertificate {
  /** Leaf, then the intermediate; PEM. */
  readonly certificate: string
  /** The CAs that peers accept; PEM. */
  readonly trustBundle: string
}

/** Body of the response to `GET` of the trust bundle, with status 200. */
export type TrustBundleAnswer = Pick<IssuedCertificate, 'trustBundle'>

/** Body of the response with any other status. */
export interface CertificateRefusal {
  /** Stable, such as `name-not-permitted`: the reason label of the authority's metric. */
  readonly code: string
  /** Plain words for the person who wrote the annotation. */
  readonly message: string
}

/** Identity of a workload. Source: SPIFFE, "X.509-SVID". */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
}
