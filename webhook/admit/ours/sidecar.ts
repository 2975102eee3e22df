import { CERTIFICATE_IN_POD, IN_POD, toEnv } from '../../../contract/exchanger-env.ts'
import { gateOf } from '../../../contract/gate.ts'
import { digestOf, isSameImage } from '../../../contract/image.ts'
import { EXCHANGER } from '../../../contract/names.ts'
import type { Container, EnvVar } from '../pod.ts'
import { CERTIFICATE_SIDECAR_MOUNTS } from './certificate.ts'
import { CREDENTIALS_SIDECAR_MOUNTS } from './credentials.ts'
import type { Injection, SidecarTasks } from './injection.ts'
import { isSame } from './same.ts'

/**
 * The sidecar: an init container that restarts, so it starts first, outlives the others and does not
 * keep a Job running. Its postStart hook is the gate: the kubelet starts no later container before the
 * hook returned. The startup probe locks it: after a hook that failed, a busy node may take the container
 * for running for a moment longer, but it has not passed its probe. Passes the Pod Security level `restricted`.
 * Source: Kubernetes, "Sidecar Containers", "Container Lifecycle Hooks", "Pod Security Standards".
 */
export function sidecar(tasks: SidecarTasks, injection: Injection): Container {
  const { credentials, certificate } = tasks
  return {
    name: EXCHANGER.container,
    image: injection.exchangerImage,
    imagePullPolicy: injection.exchangerImagePullPolicy,
    command: [...EXCHANGER.program, 'run'],
    restartPolicy: 'Always',
    env: sidecarEnv(tasks, injection),
    lifecycle: { postStart: { exec: { command: [...EXCHANGER.program, 'wait'] } } },
    startupProbe: {
      exec: {
        command: gateOf({
          credentials: credentials !== undefined,
          certificate: certificate !== undefined,
        }),
      },
      periodSeconds: 1,
      timeoutSeconds: 10,
      successThreshold: 1,
      failureThreshold: 60,
    },
    volumeMounts: [
      ...(credentials === undefined ? [] : CREDENTIALS_SIDECAR_MOUNTS),
      ...(certificate === undefined ? [] : CERTIFICATE_SIDECAR_MOUNTS),
    ],
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

function sidecarEnv({ credentials, certificate }: SidecarTasks, injection: Injection): EnvVar[] {
  const { namespace, serviceAccount, authorityUrl } = injection
  const workload = { namespace, serviceAccount }
  const forCredentials = credentials && {
    ...workload,
    ...IN_POD,
    roleArn: credentials.role.arn,
    delivery: credentials.delivery === 'endpoint' ? ('endpoint' as const) : ('process' as const),
    sessionDurationSeconds: credentials.sessionDurationSeconds,
    sessionName: credentials.sessionName,
    audience: credentials.audience,
    region: credentials.region,
    stsEndpoint: injection.stsEndpoint,
    stsProxy: injection.stsProxy,
    stsNoProxy: injection.stsNoProxy,
    stsCa: injection.stsCa,
  }
  const forCertificate = certificate && {
    ...workload,
    ...CERTIFICATE_IN_POD,
    authorityUrl,
    durationSeconds: certificate.durationSeconds,
    dnsNames: certificate.dnsNames.length === 0 ? undefined : certificate.dnsNames,
  }
  return toEnv(forCredentials, forCertificate).map((variable) => ({ ...variable }))
}

const API_ACCESS_PATH = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Compares a container of our name with the one that we would write.
 *
 * @param formerImages further images that it may have
 * @returns the first field that differs, or undefined where the container is ours. Everything that
 *   could change what it does with the token counts, so an unknown field is a difference, too.
 */
export function differenceFromOurs(
  found: Container,
  ours: Container,
  formerImages: readonly string[],
): string | undefined {
  const fields = new Set([...Object.keys(ours), ...Object.keys(found)])
  for (const field of fields) {
    const compare = COMPARED.get(field)
    const isFine = compare?.(found, ours, formerImages) ?? isSame(found[field], ours[field])
    if (!isFine) return field
  }
  return undefined
}

type Comparison = (found: Container, ours: Container, formerImages: readonly string[]) => boolean

/** The fields of which others may change something without gaining anything. */
const COMPARED: ReadonlyMap<string, Comparison> = new Map<string, Comparison>([
  [
    'image',
    ({ image }, ours, formerImages) =>
      [ours.image ?? '', ...formerImages].some((one) => isSameImage(image ?? '', one)),
  ],
  // A tag can be another image at each pull; a digest cannot.
  [
    'imagePullPolicy',
    ({ image, imagePullPolicy }, ours) =>
      imagePullPolicy === ours.imagePullPolicy || digestOf(image ?? '') !== undefined,
  ],
  // Quotas and recommenders change requests and limits; a claim brings a device, and files with it.
  ['resources', ({ resources }) => (resources?.claims ?? []).length === 0],
  [
    'volumeMounts',
    ({ volumeMounts }, ours) => isSame(withoutApiAccess(volumeMounts), ours.volumeMounts),
  ],
])

/**
 * The apiserver mounts its own token into every container that it sees for the first time, the
 * sidecar included; the exchanger never reads it.
 */
function withoutApiAccess(mounts: Container['volumeMounts']): Container['volumeMounts'] {
  return mounts?.filter(({ mountPath }) => mountPath !== API_ACCESS_PATH)
}
