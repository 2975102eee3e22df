import { isDeepStrictEqual } from 'node:util'
import type { InjectionRequest } from '../../contract/annotations.ts'
import { IN_POD, toEnv } from '../../contract/exchanger-env.ts'
import { CREDENTIALS_VOLUME, EXCHANGER, TOKEN_VOLUME } from '../../contract/names.ts'
import type { Container, Volume, VolumeMount } from './pod.ts'

/** Everything that decides what one pod gets. */
export interface Injection {
  readonly request: InjectionRequest
  readonly namespace: string
  readonly serviceAccount: string
  readonly exchangerImage: string
  readonly stsEndpoint: string | undefined
}

/**
 * The ServiceAccount token for STS, kept fresh by the kubelet.
 * Source: Kubernetes, "Launch a Pod using service account token projection".
 */
function tokenVolume(request: InjectionRequest): Volume {
  return {
    name: TOKEN_VOLUME.name,
    projected: {
      defaultMode: 0o644,
      sources: [
        {
          serviceAccountToken: {
            audience: request.audience,
            expirationSeconds: request.tokenExpirationSeconds,
            path: TOKEN_VOLUME.path,
          },
        },
      ],
    },
  }
}

/** Where the exchanger publishes: in memory, so nothing is left on a disk. */
function credentialsVolume(): Volume {
  return {
    name: CREDENTIALS_VOLUME.name,
    emptyDir: { medium: 'Memory', sizeLimit: CREDENTIALS_VOLUME.sizeLimit },
  }
}

const TOKEN_MOUNT: VolumeMount = {
  name: TOKEN_VOLUME.name,
  mountPath: TOKEN_VOLUME.mountPath,
  readOnly: true,
}

const WRITABLE_CREDENTIALS_MOUNT: VolumeMount = {
  name: CREDENTIALS_VOLUME.name,
  mountPath: CREDENTIALS_VOLUME.mountPath,
}

const CREDENTIALS_MOUNT: VolumeMount = { ...WRITABLE_CREDENTIALS_MOUNT, readOnly: true }

/**
 * The sidecar: an init container that restarts, so it starts first, outlives the others and does not
 * keep a Job running. Its postStart hook is the gate: the kubelet starts no later container before the
 * hook returned. The startup probe locks it: after a hook that failed, a busy node may take the container
 * for running for a moment longer, but it has not passed its probe. Passes the Pod Security level `restricted`.
 * Source: Kubernetes, "Sidecar Containers", "Container Lifecycle Hooks", "Pod Security Standards".
 */
function exchangerContainer(injection: Injection): Container {
  const { request, namespace, serviceAccount, stsEndpoint } = injection
  return {
    name: EXCHANGER.container,
    image: injection.exchangerImage,
    command: [...EXCHANGER.program, 'run'],
    restartPolicy: 'Always',
    env: toEnv({
      roleArn: request.role.arn,
      delivery: request.delivery === 'endpoint' ? 'endpoint' : 'process',
      sessionDurationSeconds: request.sessionDurationSeconds,
      sessionName: request.sessionName,
      namespace,
      serviceAccount,
      audience: request.audience,
      region: request.region,
      stsEndpoint,
      ...IN_POD,
    }).map((variable) => ({ ...variable })),
    lifecycle: { postStart: { exec: { command: [...EXCHANGER.program, 'wait'] } } },
    startupProbe: {
      exec: { command: [...EXCHANGER.gate] },
      periodSeconds: 1,
      timeoutSeconds: 10,
      successThreshold: 1,
      failureThreshold: 60,
    },
    volumeMounts: [TOKEN_MOUNT, WRITABLE_CREDENTIALS_MOUNT],
    resources: { requests: { cpu: '10m', memory: '24Mi' }, limits: { memory: '64Mi' } },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: EXCHANGER.userId,
      runAsGroup: EXCHANGER.userId,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationMessagePath: EXCHANGER.terminationMessagePath,
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}

/** Volumes of the pod's delivery; web-identity needs only the token. */
export function ourVolumes({ request }: Injection): Volume[] {
  const token = tokenVolume(request)
  return request.delivery === 'web-identity' ? [token] : [token, credentialsVolume()]
}

/** Sidecars of the pod's delivery; with web-identity the SDK itself calls STS. */
export function ourSidecars(injection: Injection): Container[] {
  return injection.request.delivery === 'web-identity' ? [] : [exchangerContainer(injection)]
}

/** What the app's containers mount. */
export function appMount({ request }: Injection): VolumeMount {
  return request.delivery === 'web-identity' ? TOKEN_MOUNT : CREDENTIALS_MOUNT
}

/**
 * Fields of the sidecar that others may set or change without gaining anything: the apiserver's
 * defaults, image pull policies and resource recommendations.
 */
const NOT_COMPARED: readonly string[] = ['imagePullPolicy', 'resources']

const API_ACCESS_PATH = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Compares a container of our name with the one that we would write.
 *
 * @returns the first field that differs, or undefined where the container is ours. Everything that
 *   could change what it does with the token counts, so an unknown field is a difference, too.
 */
export function differenceFromOurs(found: Container, ours: Container): string | undefined {
  const fields = new Set([...Object.keys(ours), ...Object.keys(found)])
  for (const field of fields) {
    if (NOT_COMPARED.includes(field)) continue
    const value = field === 'volumeMounts' ? withoutApiAccess(found.volumeMounts) : found[field]
    if (!isSame(value, ours[field])) return field
  }
  return undefined
}

/**
 * The apiserver mounts its own token into every container that it sees for the first time, the
 * sidecar included; the exchanger never reads it.
 */
function withoutApiAccess(mounts: Container['volumeMounts']): Container['volumeMounts'] {
  return mounts?.filter(({ mountPath }) => mountPath !== API_ACCESS_PATH)
}

/** True where a volume of our name is what we would write. */
export function isOurVolume(found: Volume, ours: Volume): boolean {
  return isSame(found, ours)
}

/** Deep equality where a field that is null or undefined counts as absent. */
export function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(withoutNulls(one), withoutNulls(other))
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined && inner !== null)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  )
}
