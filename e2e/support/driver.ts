/** The driver as its operator handles it, and what it leaves in the volumes of pods. */
import { DRIVER } from '../../contract/driver.ts'
import { CREDENTIALS_VOLUME } from '../../contract/names.ts'
import { installDriver } from '../cluster/install.ts'
import { killContainer, onNode } from './node.ts'
import { openSuite, type Suite, type Team } from './suite.ts'
import { waitFor } from './wait.ts'

/** Of a team whose pods the driver serves. */
export const BY_DRIVER = { annotations: { 'nocreds.dev/exchanger': 'driver' } } as const

const IN_DRIVER = ['--namespace', DRIVER.namespace]
const DAEMON_SET = `daemonset/${DRIVER.name}`

/** A suite on a cluster that has the driver. The driver stays for the next file; the stage takes it away. */
export async function openDriverSuite(name: string): Promise<Suite> {
  const suite = await openSuite(name)
  await installDriver(suite.host)
  return suite
}

/** Replaces the driver's pods. */
export async function restartDriver({ kubectl }: Pick<Suite, 'kubectl'>): Promise<void> {
  await kubectl(['rollout', 'restart', DAEMON_SET, ...IN_DRIVER])
  await kubectl(['rollout', 'status', DAEMON_SET, '--timeout=120s', ...IN_DRIVER])
}

/** Changes the STS that the driver asks, by its settings. */
export async function setDriverSts(suite: Suite, stsEndpoint: string): Promise<void> {
  const patch = ['--type=merge', '--patch', JSON.stringify({ data: { stsEndpoint } })]
  await suite.kubectl(['patch', 'configmap', 'nocreds-settings', ...patch, ...IN_DRIVER])
  await restartDriver(suite)
}

/** What a program that runs in the driver's container prints. */
export function insideDriver({ kubectl }: Suite, ...command: readonly string[]): Promise<string> {
  return kubectl(['exec', DAEMON_SET, ...IN_DRIVER, '--', ...command])
}

/** Its lines since its process began, parsed. */
export async function driverLog({
  kubectl,
}: Pick<Suite, 'kubectl'>): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const log = await kubectl(['logs', DAEMON_SET, ...IN_DRIVER])
  return log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
}

interface DriverPods {
  readonly items: readonly [
    {
      readonly status: {
        readonly podIP: string
        readonly containerStatuses: readonly [
          { readonly containerID: string; readonly restartCount: number },
        ]
      }
    },
  ]
}

/** The one pod of the suite's one node. */
export async function driverPod({ kubectl }: Suite): Promise<DriverPods['items'][0]> {
  const selector = ['--selector', `app.kubernetes.io/name=${DRIVER.name}`]
  return (await kubectl.get<DriverPods>(['pods', ...selector, ...IN_DRIVER])).items[0]
}

/** Ends the driver's process with SIGKILL; the kubelet restarts it. */
export async function killDriver(suite: Suite): Promise<void> {
  const { status } = await driverPod(suite)
  await killContainer(suite.host, status.containerStatuses[0].containerID)
}

/** The message of an event FailedMount of the pod, once one says this. */
export function mountFailure(
  { kubectl }: Suite,
  { namespace }: Team,
  pod: string,
  says: string,
): Promise<string> {
  const selector = `involvedObject.name=${pod},reason=FailedMount`
  return waitFor(`an event of ${pod} that says "${says}"`, 150_000, async () => {
    const { items } = await kubectl.get<{
      readonly items: readonly { readonly message: string }[]
    }>(['events', '--field-selector', selector, '--namespace', namespace])
    return items.find(({ message }) => message.includes(says))?.message
  })
}

/** Uid of a pod. */
export async function uidOf(
  { kubectl }: Suite,
  { namespace }: Pick<Team, 'namespace'>,
  pod: string,
): Promise<string> {
  const { metadata } = await kubectl.get<{ readonly metadata: { readonly uid: string } }>([
    ...['pod', pod, '--namespace', namespace],
  ])
  return metadata.uid
}

/** Where a pod's credentials are on the node. */
export function credentialsOnNode(uid: string): string {
  return `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~empty-dir/${CREDENTIALS_VOLUME.name}`
}

/** Runs a script of sh in the folder of a pod's credentials, as root on the node. */
export function inCredentials({ host }: Suite, uid: string, script: string): Promise<string> {
  return onNode(host, 'sh', '-c', `cd ${credentialsOnNode(uid)} && ${script}`)
}
