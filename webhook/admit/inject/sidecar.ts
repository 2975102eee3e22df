import {
  CERTIFICATE_IN_POD,
  CREDENTIALS_IN_POD,
  toEnv,
  type AdmittedCredentials,
  type TargetConfig,
} from '../../../contract/exchanger-env.ts'
import { EXCHANGER } from '../../../contract/names.ts'
import type { WantedTarget } from '../../../contract/wanted.ts'
import type { Container, EnvVar, Pod } from '../pod.ts'
import { CERTIFICATE_SIDECAR_MOUNTS } from './certificate.ts'
import { credentialsSidecarMounts } from './credentials.ts'
import type { Injection, Tasks } from './injection.ts'
import { sidecarResources } from './resources.ts'
import { moreRoleArns } from './slots.ts'
import { admittedTags } from './tags.ts'

/**
 * The sidecar: an init container that restarts, so it starts first, outlives the others and does not
 * keep a Job running. Its postStart hook is the gate: the kubelet starts no later container before the
 * hook returned. The startup probe locks it: after a hook that failed, a busy node may take the container
 * for running for a moment longer, but it has not passed its probe. Both need nothing of the image but Node. The kubelet
 * begins to probe after the hook, so that the probe usually runs once. Passes the Pod Security level `restricted`.
 * Source: Kubernetes, "Sidecar Containers", "Container Lifecycle Hooks", "Pod Security Standards".
 */
export function sidecar(tasks: Tasks, injection: Injection, pod: Pod): Container {
  const { credentials, certificate } = tasks
  const resources = sidecarResources(injection.request.exchangerResources, pod)
  return {
    name: EXCHANGER.container,
    image: injection.exchangerImage,
    imagePullPolicy: injection.exchangerImagePullPolicy,
    command: [...EXCHANGER.program, 'run'],
    restartPolicy: 'Always',
    env: sidecarEnv(tasks, injection),
    lifecycle: { postStart: { exec: { command: [...EXCHANGER.program, 'wait'] } } },
    startupProbe: {
      exec: { command: [...EXCHANGER.program, 'ready'] },
      periodSeconds: 1,
      timeoutSeconds: 10,
      successThreshold: 1,
      failureThreshold: 60,
    },
    volumeMounts: [
      ...(credentials === undefined ? [] : credentialsSidecarMounts(credentials)),
      ...(certificate === undefined ? [] : CERTIFICATE_SIDECAR_MOUNTS),
    ],
    ...(resources === undefined ? {} : { resources }),
    securityContext: {
      runAsNonRoot: true,
      ...userOf(injection),
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationMessagePath: EXCHANGER.terminationMessagePath,
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}

function userOf({ exchangerUser }: Injection): object {
  return exchangerUser === 'platform' ? {} : { runAsUser: exchangerUser, runAsGroup: exchangerUser }
}

function targetEnv(
  target: WantedTarget | undefined,
  injection: Injection,
): Pick<AdmittedCredentials, keyof TargetConfig | 'defaultTags'> {
  const { clusterArn, clusterName, hasDefaultTags } = injection
  return {
    targetRoleArn: target?.role.arn,
    externalId: target?.externalId,
    sessionTags: target && admittedTags(target, injection),
    defaultTags: target && hasDefaultTags ? { clusterArn, clusterName } : undefined,
  }
}

function sidecarEnv({ credentials, certificate }: Tasks, injection: Injection): EnvVar[] {
  const { namespace, serviceAccount, authorityUrl } = injection
  const workload = { namespace, serviceAccount }
  const forCredentials = credentials && {
    ...workload,
    ...CREDENTIALS_IN_POD,
    roleArn: credentials.role.arn,
    delivery: credentials.delivery,
    sessionDurationSeconds: credentials.sessionDurationSeconds,
    sessionName: credentials.sessionName,
    audience: credentials.audience,
    region: credentials.region,
    containerRoleArns: moreRoleArns(credentials),
    ...targetEnv(credentials.target, injection),
    sessionPolicy: credentials.sessionPolicy,
    sessionPolicyArns: credentials.sessionPolicyArns,
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
