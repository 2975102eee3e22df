import { AUTHORITY_VOLUME, TLS_VOLUME } from './certificates.ts'
import { conflictOf } from './container-roles.ts'
import { SIDECAR_DELIVERIES, type SidecarDelivery } from './delivery.ts'
import { ExchangerEnvError, namesOf, read, write, type EnvTable, type EnvVar } from './env-table.ts'
import { CREDENTIALS_VOLUME, EXCHANGER, TOKEN_VOLUME } from './names.ts'
import { policyArns, sessionPolicy } from './session-policy.ts'
import { sessionTags, type SessionTag } from './session-tags.ts'
import { caBundle, noProxy } from './sts-route.ts'
import * as values from './values.ts'

/** Whose exchanger it is. */
interface Workload {
  readonly namespace: string
  readonly serviceAccount: string
  /** Name of the pod, from the downward API: at admission a generated name is not known yet. */
  readonly pod: string
}

interface InSidecar extends Workload {
  readonly terminationMessageFile: string
}

/** What the tags that nocreds itself sets depend on, besides the workload. */
export interface DefaultTagsConfig {
  readonly podUid: string
  readonly clusterArn: string | undefined
  readonly clusterName: string | undefined
}

/** The last role of an exchange, if it takes two steps. */
export interface TargetConfig {
  /** Assumed with the credentials of `roleArn`; undefined: that is the role of the app. */
  readonly targetRoleArn: string | undefined
  readonly externalId: string | undefined
  /** Tags of the session of the target; of the placeholders only `{pod}` may be left. */
  readonly sessionTags: readonly SessionTag[] | undefined
}

/** Narrows the last session of an exchange. */
export interface SessionPolicyConfig {
  readonly sessionPolicy: string | undefined
  readonly sessionPolicyArns: readonly string[] | undefined
}

/** What one exchange at STS depends on, besides the token. */
export interface ExchangeConfig extends Workload, TargetConfig, SessionPolicyConfig {
  readonly roleArn: string
  readonly sessionDurationSeconds: number
  /** A template, see session-name.ts. */
  readonly sessionName: string
  readonly audience: string
  readonly region: string | undefined
  /** Undefined: the regional endpoint of AWS. */
  readonly stsEndpoint: string | undefined
  /** URL of the proxy by which STS is reached; undefined: directly. */
  readonly stsProxy: string | undefined
  /** Hosts that are reached without it, see sts-route.ts. */
  readonly stsNoProxy: string | undefined
  /** PEM: STS, and a proxy by https, are known by these CAs alone. Undefined: by those of Node. */
  readonly stsCa: string | undefined
  /** Undefined: the session of the target has none of nocreds' own tags. */
  readonly defaultTags: DefaultTagsConfig | undefined
}

/** What an exchanger must know to keep AWS credentials fresh. The webhook writes it as env, the exchanger reads it back. */
export interface CredentialsConfig extends ExchangeConfig, InSidecar {
  readonly delivery: SidecarDelivery
  /** Roles of the slots from 1 on, see container-roles.ts; `roleArn` is that of slot 0. */
  readonly containerRoleArns: readonly string[] | undefined
  readonly tokenFile: string
  readonly credentialsFolder: string
}

/** What one request to the authority depends on, besides the token and the trust bundle. */
export interface IssueConfig extends Workload {
  /** Base URL of the authority. */
  readonly authorityUrl: string
  readonly durationSeconds: number
  /** Names that the certificate is to be good for, besides the identity; may be none. */
  readonly dnsNames: readonly string[] | undefined
}

/** What an exchanger must know to keep a certificate fresh. */
export interface CertificateConfig extends IssueConfig, InSidecar {
  /** Holds the token for the authority and the trust bundle by which the authority is known. */
  readonly authorityFolder: string
  readonly tlsFolder: string
}

/** What one sidecar does: credentials, a certificate, or both. */
export interface SidecarConfig {
  readonly credentials: CredentialsConfig | undefined
  readonly certificate: CertificateConfig | undefined
}

/**
 * What the kubelet adds for a Service of the pod's namespace: one named `nocreds-x` brings
 * `NOCREDS_X_SERVICE_HOST` and the like, which are not variables of nocreds.
 * Source: Kubernetes, "Service", Environment variables.
 */
const SERVICE_LINK = /_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$/

/** The pod's own name as the kubelet knows it, which at admission may still have to be generated. */
export const POD_NAME_ENV = {
  name: 'NOCREDS_POD',
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } },
} as const

const COMMON: EnvTable<InSidecar> = {
  namespace: { name: 'NOCREDS_NAMESPACE', kind: values.objectName },
  serviceAccount: { name: 'NOCREDS_SERVICE_ACCOUNT', kind: values.objectName },
  pod: {
    name: POD_NAME_ENV.name,
    kind: values.objectName,
    fieldPath: POD_NAME_ENV.valueFrom.fieldRef.fieldPath,
  },
  terminationMessageFile: { name: 'NOCREDS_TERMINATION_MESSAGE_FILE', kind: values.absolutePath },
}

/** The same of its uid. */
const POD_UID_PATH = 'metadata.uid'

/** THE schema of the tags that nocreds sets. */
const DEFAULT_TAGS: EnvTable<DefaultTagsConfig> = {
  podUid: { name: 'NOCREDS_POD_UID', kind: values.objectUid, fieldPath: POD_UID_PATH },
  clusterArn: { name: 'NOCREDS_CLUSTER_ARN', kind: values.clusterArn, optional: true },
  clusterName: { name: 'NOCREDS_CLUSTER_NAME', kind: values.clusterName, optional: true },
}

/** THE schema of what an exchange needs. */
const CREDENTIALS: EnvTable<Omit<CredentialsConfig, keyof InSidecar | 'defaultTags'>> = {
  roleArn: { name: 'NOCREDS_ROLE_ARN', kind: values.roleArn },
  delivery: { name: 'NOCREDS_DELIVERY', kind: values.oneOf(...SIDECAR_DELIVERIES) },
  sessionDurationSeconds: {
    name: 'NOCREDS_SESSION_DURATION_SECONDS',
    kind: values.sessionDurationSeconds,
  },
  sessionName: { name: 'NOCREDS_SESSION_NAME', kind: values.sessionName },
  audience: { name: 'NOCREDS_AUDIENCE', kind: values.audience },
  region: { name: 'NOCREDS_REGION', kind: values.region, optional: true },
  containerRoleArns: {
    name: 'NOCREDS_CONTAINER_ROLE_ARNS',
    kind: values.roleArns,
    optional: true,
  },
  targetRoleArn: { name: 'NOCREDS_TARGET_ROLE_ARN', kind: values.roleArn, optional: true },
  externalId: { name: 'NOCREDS_EXTERNAL_ID', kind: values.externalId, optional: true },
  sessionTags: { name: 'NOCREDS_SESSION_TAGS', kind: sessionTags, optional: true },
  sessionPolicy: { name: 'NOCREDS_SESSION_POLICY', kind: sessionPolicy, optional: true },
  sessionPolicyArns: { name: 'NOCREDS_SESSION_POLICY_ARNS', kind: policyArns, optional: true },
  stsEndpoint: { name: 'NOCREDS_STS_ENDPOINT', kind: values.httpUrl, optional: true },
  stsProxy: { name: 'NOCREDS_STS_PROXY', kind: values.proxyUrl, optional: true },
  stsNoProxy: { name: 'NOCREDS_STS_NO_PROXY', kind: noProxy, optional: true },
  stsCa: { name: 'NOCREDS_STS_CA', kind: caBundle, optional: true },
  tokenFile: { name: 'NOCREDS_TOKEN_FILE', kind: values.absolutePath },
  credentialsFolder: { name: 'NOCREDS_CREDENTIALS_FOLDER', kind: values.absolutePath },
}

/** THE schema of what asking for a certificate needs. */
const CERTIFICATE: EnvTable<Omit<CertificateConfig, keyof InSidecar>> = {
  authorityUrl: { name: 'NOCREDS_AUTHORITY_URL', kind: values.httpUrl },
  authorityFolder: { name: 'NOCREDS_AUTHORITY_FOLDER', kind: values.absolutePath },
  tlsFolder: { name: 'NOCREDS_TLS_FOLDER', kind: values.absolutePath },
  durationSeconds: {
    name: 'NOCREDS_CERTIFICATE_DURATION_SECONDS',
    kind: values.certificateDurationSeconds,
  },
  dnsNames: { name: 'NOCREDS_CERTIFICATE_DNS_NAMES', kind: values.dnsNames, optional: true },
}

const NAMES = [COMMON, CREDENTIALS, DEFAULT_TAGS, CERTIFICATE].flatMap((table) =>
  namesOf<object>(table),
)

/** Where things are in a pod's sidecar. */
export const CREDENTIALS_IN_POD = {
  tokenFile: TOKEN_VOLUME.file,
  credentialsFolder: CREDENTIALS_VOLUME.mountPath,
  terminationMessageFile: EXCHANGER.terminationMessagePath,
} as const

/** The same for certificates. */
export const CERTIFICATE_IN_POD = {
  authorityFolder: AUTHORITY_VOLUME.mountPath,
  tlsFolder: `${TLS_VOLUME.mountPath}/${TLS_VOLUME.publishedPath}`,
  terminationMessageFile: EXCHANGER.terminationMessagePath,
} as const

/** What the webhook knows of a sidecar's credentials: the kubelet knows the pod's name and uid. */
export type AdmittedCredentials = Omit<CredentialsConfig, 'pod' | 'defaultTags'> & {
  readonly defaultTags: Omit<DefaultTagsConfig, 'podUid'> | undefined
}

/** The env of a sidecar. The pod's name and uid come from the downward API, so they are no parameters. */
export function toEnv(
  credentials: AdmittedCredentials | undefined,
  certificate?: Omit<CertificateConfig, 'pod'>,
): EnvVar[] {
  return [
    ...write<InSidecar>(COMMON, { ...credentials, ...certificate }),
    ...(credentials === undefined ? [] : write(CREDENTIALS, credentials)),
    ...(credentials?.defaultTags === undefined ? [] : write(DEFAULT_TAGS, credentials.defaultTags)),
    ...(certificate === undefined ? [] : write(CERTIFICATE, certificate)),
  ]
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads what {@link toEnv} wrote, after the kubelet expanded it.
 *
 * @throws ExchangerEnvError that names the variable, its value and what is allowed
 */
export function sidecarFromEnv(env: Environment): SidecarConfig {
  refuseUnknown(env)
  const wantsCertificate = hasAny(CERTIFICATE, env)
  const wantsCredentials = hasAny(CREDENTIALS, env) || !wantsCertificate
  return {
    credentials: wantsCredentials ? credentialsFromEnv(env) : undefined,
    certificate: wantsCertificate ? certificateFromEnv(env) : undefined,
  }
}

/** What an exchange reads. @throws ExchangerEnvError */
export function credentialsFromEnv(env: Environment): CredentialsConfig {
  refuseUnknown(env)
  const credentials = read(CREDENTIALS, env)
  const conflict = conflictOf(credentials, {
    roleArn: `variable ${CREDENTIALS.roleArn.name}`,
    containerRoleArns: `variable ${CREDENTIALS.containerRoleArns.name}`,
    targetRoleArn: CREDENTIALS.targetRoleArn.name,
  })
  if (conflict !== undefined) throw new ExchangerEnvError('ERR_ENV_CONFLICT', conflict)
  return {
    ...credentials,
    ...read(COMMON, env),
    defaultTags: hasAny(DEFAULT_TAGS, env) ? read(DEFAULT_TAGS, env) : undefined,
  }
}

/** The env of the exchange of one role of a pod with several. */
export function envOfRole<Env extends Environment>(env: Env, roleArn: string): Env {
  const { roleArn: own, containerRoleArns: others } = CREDENTIALS
  const ofRole = Object.entries({ ...env, [own.name]: roleArn })
  return Object.fromEntries(ofRole.filter(([name]) => name !== others.name)) as Env
}

function hasAny(table: object, env: Environment): boolean {
  return namesOf(table).some((name) => env[name] !== undefined)
}

/** What asking for a certificate reads. @throws ExchangerEnvError */
export function certificateFromEnv(env: Environment): CertificateConfig {
  refuseUnknown(env)
  return { ...read(CERTIFICATE, env), ...read(COMMON, env) }
}

function refuseUnknown(env: Environment): void {
  const unknown = Object.keys(env).find(
    (key) => key.startsWith('NOCREDS_') && !NAMES.includes(key) && !SERVICE_LINK.test(key),
  )
  if (unknown === undefined) return
  throw new ExchangerEnvError(
    'ERR_ENV_UNKNOWN',
    `unknown variable ${unknown}; allowed: ${NAMES.join(', ')}`,
  )
}
