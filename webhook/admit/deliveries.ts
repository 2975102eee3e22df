import { literalEnvValue } from '../../contract/env-table.ts'
import { POD_NAME_ENV } from '../../contract/exchanger-env.ts'
import {
  AWS_ENV,
  CREDENTIALS_FILES,
  CREDENTIALS_VOLUME,
  ENDPOINT,
  TOKEN_VOLUME,
} from '../../contract/names.ts'
import {
  fillIn,
  renderSessionName,
  SESSION_NAME_LENGTH,
  type SessionNameParts,
} from '../../contract/session-name.ts'
import { appMount, type Injection } from './ours.ts'
import { nameOf, type EnvVar, type Pod, type VolumeMount } from './pod.ts'

/** What the app's containers get: variables that the SDK's default chain reads, and one mount. */
export interface AppSide {
  readonly env: readonly EnvVar[]
  /** Added together, and only where the container names no region itself. */
  readonly regionEnv: readonly EnvVar[]
  readonly mount: VolumeMount
}

const inCredentials = (file: keyof typeof CREDENTIALS_FILES): string =>
  `${CREDENTIALS_VOLUME.mountPath}/${CREDENTIALS_FILES[file]}`

/** Else an SDK that finds no credentials falls through to the role of the node. */
const NO_METADATA: EnvVar = { name: AWS_ENV.metadataDisabled, value: 'true' }

/** The app's side of each delivery. Source: AWS SDKs and Tools Reference Guide, "Settings reference". */
export function appSide(injection: Injection, pod: Pod): AppSide {
  const { delivery, region } = injection.request
  const regionEnv =
    region === undefined
      ? []
      : [
          { name: AWS_ENV.region, value: region },
          { name: AWS_ENV.defaultRegion, value: region },
        ]
  const env = [...ENV_OF[delivery](injection, pod), NO_METADATA]
  return { env, regionEnv, mount: appMount(injection) }
}

const ENV_OF = {
  process: (): EnvVar[] => [{ name: AWS_ENV.configFile, value: inCredentials('config') }],

  endpoint: (): EnvVar[] => [
    {
      name: AWS_ENV.containerUri,
      value: `http://${ENDPOINT.host}:${ENDPOINT.port}${ENDPOINT.path}`,
    },
    { name: AWS_ENV.containerTokenFile, value: inCredentials('authorization') },
  ],

  'web-identity': (injection: Injection, pod: Pod): EnvVar[] => [
    { name: AWS_ENV.roleArn, value: literalEnvValue(injection.request.role.arn) },
    { name: AWS_ENV.tokenFile, value: TOKEN_VOLUME.file },
    ...sessionNameEnv(injection, pod),
  ],
}

/** The apiserver appends 5 characters to a `generateName`, cutting that to 58 first. */
const GENERATED = { suffix: 5, prefixMax: 58 } as const

/** True where the session name needs a pod name that only the kubelet will know. */
function waitsForPodName(injection: Injection, pod: Pod): boolean {
  return injection.request.sessionName.includes('{pod}') && !pod.metadata.name
}

function partsWith(pod: string, { namespace, serviceAccount }: Injection): SessionNameParts {
  return { namespace, serviceaccount: serviceAccount, pod }
}

function sessionNameEnv(injection: Injection, pod: Pod): EnvVar[] {
  const { sessionName } = injection.request
  if (!waitsForPodName(injection, pod)) {
    const value = renderSessionName(sessionName, partsWith(nameOf(pod), injection))
    return [{ name: AWS_ENV.sessionName, value }]
  }
  const value = fillIn(sessionName, partsWith(`$(${POD_NAME_ENV.name})`, injection))
  return [{ ...POD_NAME_ENV }, { name: AWS_ENV.sessionName, value }]
}

/**
 * How many characters too long a web-identity session name would be with the generated pod name; 0
 * where it fits. Nothing can cut it once the kubelet has filled it in.
 */
export function sessionNameExcess(injection: Injection, pod: Pod): number {
  const { delivery, sessionName } = injection.request
  if (delivery !== 'web-identity' || !waitsForPodName(injection, pod)) return 0
  const podNameLength = Math.min(nameOf(pod).length, GENERATED.prefixMax) + GENERATED.suffix
  const rendered = fillIn(sessionName, partsWith('-'.repeat(podNameLength), injection))
  return Math.max(0, rendered.length - SESSION_NAME_LENGTH.max)
}
