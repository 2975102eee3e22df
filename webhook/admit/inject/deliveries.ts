import { slotOf } from '../../../contract/container-roles.ts'
import {
  appHoldsToken,
  DELIVERIES,
  TOKEN_DELIVERIES,
  type Delivery,
} from '../../../contract/delivery.ts'
import { literalEnvValue } from '../../../contract/env-table.ts'
import { POD_NAME_ENV } from '../../../contract/exchanger-env.ts'
import {
  AWS_ENV,
  CREDENTIALS_FILES,
  CREDENTIALS_VOLUME,
  ENDPOINT,
  TOKEN_VOLUME,
} from '../../../contract/names.ts'
import {
  fillIn,
  renderSessionName,
  SESSION_NAME_LENGTH,
  type SessionNameParts,
} from '../../../contract/session-name.ts'
import type { WantedCredentials } from '../../../contract/wanted.ts'
import {
  longestNameOf,
  nameOf,
  type Container,
  type EnvVar,
  type Pod,
  type VolumeMount,
} from '../pod.ts'
import { appMounts } from './additions.ts'
import { CERTIFICATE_ENV } from './certificate.ts'
import { equalIgnoringNulls } from './equal.ts'
import type { Injection } from './injection.ts'

/** What the app's containers get: variables that the SDK's default chain and TLS servers read, and mounts. */
export interface AppSide {
  readonly env: readonly EnvVar[]
  /** Added together, and only if the container sets no region itself. */
  readonly regionEnv: readonly EnvVar[]
  /** Added if the container has a region, its own or that of regionEnv. */
  readonly regionalEnv: readonly EnvVar[]
  readonly mounts: readonly VolumeMount[]
}

const inCredentials = (file: keyof typeof CREDENTIALS_FILES): string =>
  `${CREDENTIALS_VOLUME.mountPath}/${CREDENTIALS_FILES[file]}`

/** Otherwise an SDK that finds no credentials falls back to the role of the node. */
const NO_METADATA: EnvVar = { name: AWS_ENV.metadataDisabled, value: 'true' }

/**
 * The app's side of each delivery. Source: AWS SDKs and Tools Reference Guide, "Settings reference".
 *
 * @param slot of the container; undefined: no credentials
 */
export function appSide(injection: Injection, pod: Pod, slot: number | undefined): AppSide {
  const { request } = injection
  const { certificate } = request
  const credentials = slot === undefined ? undefined : request.credentials
  const forCredentials =
    credentials === undefined
      ? []
      : [
          ...ENV_OF[credentials.delivery](credentials, injection, { pod, slot: slot ?? 0 }),
          NO_METADATA,
        ]
  return {
    env: certificate === undefined ? forCredentials : [...forCredentials, CERTIFICATE_ENV],
    regionEnv: regionEnv(credentials?.region),
    // SDKs from before 2022 call the global STS, which is not reachable from everywhere.
    regionalEnv:
      credentials !== undefined && appHoldsToken(credentials.delivery)
        ? [{ name: AWS_ENV.stsRegional, value: 'regional' }]
        : [],
    mounts: appMounts(injection, slot),
  }
}

/** Variables that belong to the token. */
const WITH_TOKEN: readonly string[] = [
  ...TOKEN_DELIVERIES.flatMap((delivery) => DELIVERIES[delivery].appEnv.map((key) => AWS_ENV[key])),
  POD_NAME_ENV.name,
]

/**
 * True for a container that sets a role of its own with a delivery where the app holds the token: with the injected
 * token it could assume a role that the namespace did not permit. A `valueFrom` is unknown at admission, so it counts as another role.
 */
export function hasOtherRole({ env }: Container, app: AppSide): boolean {
  const injected = app.env.find(({ name }) => name === AWS_ENV.roleArn)
  if (injected === undefined) return false
  return (env ?? []).some(
    (one) => one.name === AWS_ENV.roleArn && !equalIgnoringNulls(one, injected),
  )
}

/** What this container gets: all of it, or, with a role of its own, nothing that goes with the token. */
export function sideOf(container: Container, app: AppSide): AppSide {
  if (!hasOtherRole(container, app)) return app
  return {
    ...app,
    env: app.env.filter(({ name }) => !WITH_TOKEN.includes(name)),
    regionalEnv: [],
    mounts: app.mounts.filter(({ name }) => name !== TOKEN_VOLUME.name),
  }
}

function regionEnv(region: string | undefined): EnvVar[] {
  if (region === undefined) return []
  return [
    { name: AWS_ENV.region, value: region },
    { name: AWS_ENV.defaultRegion, value: region },
  ]
}

interface Of {
  readonly pod: Pod
  readonly slot: number
}
type AppEnv = (wanted: WantedCredentials, injection: Injection, of: Of) => EnvVar[]

/** The values of what the table of contract/delivery.ts names. */
const ENV_OF: Readonly<Record<Delivery, AppEnv>> = {
  process: () => [
    { name: AWS_ENV.configFile, value: inCredentials('config') },
    { name: AWS_ENV.credentialsFile, value: inCredentials('noKeys') },
  ],

  endpoint: (_wanted, _injection, { slot }) => [
    {
      name: AWS_ENV.containerUri,
      value: `http://${ENDPOINT.host}:${ENDPOINT.port}${slotOf(slot).endpointPath}`,
    },
    { name: AWS_ENV.containerTokenFile, value: inCredentials('authorization') },
  ],

  'web-identity': (wanted, injection, { pod }) => [
    { name: AWS_ENV.roleArn, value: literalEnvValue(wanted.role.arn) },
    { name: AWS_ENV.tokenFile, value: TOKEN_VOLUME.file },
    ...sessionNameEnv(wanted, injection, pod),
    ...stsEndpointEnv(injection),
  ],
}

function stsEndpointEnv({ stsEndpoint }: Injection): EnvVar[] {
  if (stsEndpoint === undefined) return []
  return [{ name: AWS_ENV.stsEndpoint, value: literalEnvValue(stsEndpoint) }]
}

/** True if the session name needs a pod name that only the kubelet will know. */
function waitsForPodName({ sessionName }: WantedCredentials, pod: Pod): boolean {
  return sessionName.includes('{pod}') && !pod.metadata.name
}

function partsWith(pod: string, { namespace, serviceAccount }: Injection): SessionNameParts {
  return { namespace, serviceaccount: serviceAccount, pod }
}

function sessionNameEnv(wanted: WantedCredentials, injection: Injection, pod: Pod): EnvVar[] {
  const { sessionName } = wanted
  if (!waitsForPodName(wanted, pod)) {
    const value = renderSessionName(sessionName, partsWith(nameOf(pod), injection))
    return [{ name: AWS_ENV.sessionName, value }]
  }
  const value = fillIn(sessionName, partsWith(`$(${POD_NAME_ENV.name})`, injection))
  return [{ ...POD_NAME_ENV }, { name: AWS_ENV.sessionName, value }]
}

/**
 * How many characters too long the session name that the app uses would be with the generated pod name; 0
 * if it fits. Nothing can shorten it once the kubelet has filled it in.
 */
export function sessionNameExcess(injection: Injection, pod: Pod): number {
  const { credentials } = injection.request
  if (credentials === undefined || !appHoldsToken(credentials.delivery)) return 0
  if (!waitsForPodName(credentials, pod)) return 0
  const rendered = fillIn(credentials.sessionName, partsWith(longestNameOf(pod), injection))
  return Math.max(0, rendered.length - SESSION_NAME_LENGTH.max)
}
