/**
 * Names that webhook, exchanger, manifests and pages must agree on. Tests compare the manifests and the pages
 * with this file. The names of certificates are in certificates.ts.
 */

/** Prefix of all annotations and labels. */
export const PREFIX = 'nocreds.dev/'

/** Set by the webhook on enabled Namespaces; the Pod webhook is scoped to it. */
export const INJECTION_LABEL = { key: `${PREFIX}injection`, value: 'enabled' } as const

/** The annotations that decide; all of them are in annotations.ts. */
export const ROLE_ARN = `${PREFIX}role-arn`
export const CERTIFICATE = `${PREFIX}certificate`
export const CERTIFICATE_DNS_NAMES = `${PREFIX}certificate-dns-names`
export const CONTAINER_ROLES = `${PREFIX}container-roles`
export const TARGET_ROLE_ARN = `${PREFIX}target-role-arn`
export const PERMITTED_ROLES = `${PREFIX}permitted-roles`

/** The role of pods of a namespace that name none. */
export const DEFAULT_ROLE_ARN = `${PREFIX}default-role-arn`

/** An RE2 expression over names of certificates, beyond those of the namespace's own Services. */
export const PERMITTED_DNS_NAMES = `${PREFIX}permitted-dns-names`

/** Deliveries that pods of a namespace may request, separated by commas. */
export const PERMITTED_DELIVERIES = `${PREFIX}permitted-deliveries`

/** An RE2 expression over session name templates, beyond those that begin with the namespace. */
export const PERMITTED_SESSION_NAMES = `${PREFIX}permitted-session-names`

/** An RE2 expression over session tags, each as `key=value`. */
export const PERMITTED_SESSION_TAGS = `${PREFIX}permitted-session-tags`

/** Exactly `"false"`: sessions of target roles have none of nocreds' own tags. */
export const DEFAULT_SESSION_TAGS = `${PREFIX}default-session-tags`

/** What serves the pod: the sidecar, or the driver of its node; see exchangers.ts. */
export const EXCHANGER_ANNOTATION = `${PREFIX}exchanger`

/** Requests and limits of the sidecar. */
export const EXCHANGER_RESOURCES = `${PREFIX}exchanger-resources`

/** CSI driver of nocreds; only the webhook writes its volumes. */
export const CSI_DRIVER = 'csi.nocreds.dev'

/** Written by the webhook only, on Pods: the role ARN that the pod was admitted with. */
export const INJECTED_ROLE = `${PREFIX}injected-role`

/** The same, of a pod with more than one role: all of them, separated by blanks; that of `INJECTED_ROLE` is the first. */
export const INJECTED_ROLES = `${PREFIX}injected-roles`

/** Kubernetes marks static pods with it; the kubelet created them already, so admission changes nothing. */
export const MIRROR_POD_ANNOTATION = 'kubernetes.io/config.mirror'

export const DEFAULT_AUDIENCE = 'sts.amazonaws.com'

/** Folder of all that nocreds mounts. */
export const SECRETS = '/var/run/secrets/nocreds.dev'

export const TOKEN_VOLUME = {
  name: 'nocreds-token',
  mountPath: `${SECRETS}/token`,
  /** Path of the token within the volume, and where a process finds it. */
  path: 'token',
  file: `${SECRETS}/token/token`,
} as const

export const CREDENTIALS_VOLUME = {
  name: 'nocreds-credentials',
  mountPath: `${SECRETS}/aws`,
  sizeLimit: '1Mi',
} as const

/** Files on the credentials volume, relative to its mount path. */
export const CREDENTIALS_FILES = {
  /** The credential document that `credential_process` prints. */
  document: 'credentials.json',
  /** What AWS_CONFIG_FILE points at. */
  config: 'config',
  /**
   * What AWS_SHARED_CREDENTIALS_FILE points at: it never exists, and only the exchanger could write it. Keys in
   * the file of a home folder would win over `credential_process`.
   */
  noKeys: 'no-keys',
  /** What AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE points at. */
  authorization: 'authorization',
} as const

/** The sidecar. */
export const EXCHANGER = {
  container: 'nocreds-exchanger',
  /** Found through the image's PATH, then the bundle that the Dockerfile puts there. */
  program: ['node', '/nocreds/exchanger.mjs'],
  userId: 65532,
  terminationMessagePath: '/dev/termination-log',
} as const

/** Containers by which the traffic of a pod goes. Source: Istio, "Sidecar Injection"; Linkerd, "Automatic Proxy Injection". */
export const DEFAULT_MESH_PROXIES: readonly string[] = ['istio-proxy', 'linkerd-proxy']

/**
 * The endpoint of `delivery: endpoint`. SDKs accept plain http for loopback only, and some drop a
 * query or refuse an empty path.
 */
export const ENDPOINT = { host: '127.0.0.1', port: 9911, path: '/v1/credentials' } as const

/** Environment of the app's containers, by the names that the AWS SDKs read. */
export const AWS_ENV = {
  configFile: 'AWS_CONFIG_FILE',
  credentialsFile: 'AWS_SHARED_CREDENTIALS_FILE',
  containerUri: 'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  containerTokenFile: 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  roleArn: 'AWS_ROLE_ARN',
  tokenFile: 'AWS_WEB_IDENTITY_TOKEN_FILE',
  sessionName: 'AWS_ROLE_SESSION_NAME',
  stsEndpoint: 'AWS_ENDPOINT_URL_STS',
  stsRegional: 'AWS_STS_REGIONAL_ENDPOINTS',
  metadataDisabled: 'AWS_EC2_METADATA_DISABLED',
  region: 'AWS_REGION',
  defaultRegion: 'AWS_DEFAULT_REGION',
} as const

/**
 * Variables that, set by the container itself, win over or stand in the way of what nocreds sets.
 * Admission warns about each of them and overwrites none.
 * Source: credential provider chains of the AWS SDKs (AWS SDKs and Tools Reference Guide).
 */
export const CONFLICTING_ENV: readonly string[] = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
]

/** The admission server. */
export const WEBHOOK = {
  port: 8443,
  metricsPort: 9090,
  paths: { pods: '/mutate/pods', namespaces: '/mutate/namespaces' },
} as const

/** Paths of metrics and probes, the same for webhook and authority. */
export const PROBES = { metrics: '/metrics', live: '/livez', ready: '/readyz' } as const
