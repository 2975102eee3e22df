import { randomBytes } from 'node:crypto'
import { DELIVERY_NAMES } from '../../contract/delivery.ts'
import { ACCOUNT, awsAdmin, S3_ENDPOINT, STS_ENDPOINT, type AwsAdmin } from '../cluster/aws.ts'
import { IMAGES } from '../versions.ts'
import { hostOf, type Host } from './host.ts'
import { kubectlOf, type Kubectl } from './kubectl.ts'
import { waitFor } from './wait.ts'

/** The cluster as a test file uses it. */
export interface Suite {
  readonly host: Host
  readonly kubectl: Kubectl
  readonly aws: AwsAdmin
  /** Ends in something that no other run has, so what a run left behind does not disturb others. */
  readonly prefix: string
}

/** @param name of the test file, with which everything that it makes begins */
export async function openSuite(name: string): Promise<Suite> {
  const suite = openSuiteWithoutAws(name)
  return { ...suite, aws: await awsAdmin(suite.host) }
}

/** The same for a file that needs no AWS, so that any cluster with nocreds will do. */
export function openSuiteWithoutAws(name: string): Omit<Suite, 'aws'> {
  const host = hostOf(process.env, (line) => process.stdout.write(line))
  const prefix = `${name}-${randomBytes(3).toString('hex')}`
  return { host, kubectl: kubectlOf(host), prefix }
}

/** Deletes the suite's Namespaces, and does not wait until they are gone. */
export async function closeSuite({
  kubectl,
  prefix,
}: Pick<Suite, 'kubectl' | 'prefix'>): Promise<void> {
  const all = await kubectl(['get', 'namespaces', '--output', 'name'])
  const own = all.split('\n').filter((name) => name.startsWith(`namespace/${prefix}`))
  if (own.length > 0) await kubectl(['delete', '--wait=false', ...own])
}

/** A Namespace that permits roles, and its ServiceAccount `app`, which names one. */
export interface Team {
  readonly namespace: string
  readonly role: string
  /** The identity of the team's pods at AWS: the role, and the default session name. */
  readonly identity: { readonly account: string; readonly arn: string }
}

export interface TeamOptions {
  /** Labels of the Namespace. */
  readonly labels?: Readonly<Record<string, string>>
  /** Annotations of the ServiceAccount, besides its role. */
  readonly annotations?: Readonly<Record<string, string>>
  /** Name of the ServiceAccount that the role trusts; default: the team's own, `app`. */
  readonly trusts?: string
  /** Deliveries that the Namespace permits, default: every one. None: it does not say, as before there was a way to. */
  readonly deliveries?: readonly string[]
}

/** A team in the Namespace PREFIX-NAME, with the role of that name. */
export async function createTeam(
  { kubectl, aws, prefix }: Suite,
  name: string,
  { labels = {}, annotations = {}, trusts = 'app', deliveries = DELIVERY_NAMES }: TeamOptions = {},
): Promise<Team> {
  const namespace = `${prefix}-${name}`
  const role = await aws.createRole(namespace, `${namespace}:${trusts}`)
  const permitted = {
    'nocreds.dev/permitted-roles': `arn:aws:iam::[0-9]+:role/${prefix}-.*`,
    ...(deliveries.length > 0 && { 'nocreds.dev/permitted-deliveries': deliveries.join() }),
  }
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels, annotations: permitted },
  })
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      name: 'app',
      namespace,
      annotations: { 'nocreds.dev/role-arn': role, ...annotations },
    },
  })
  const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/${namespace}/${namespace}.app`
  return { namespace, role, identity: { account: ACCOUNT, arn } }
}

/** The app has no setting but the places of the suite's STS and S3, which are not AWS's. */
export const APP_ENV = [
  { name: 'AWS_ENDPOINT_URL_STS', value: STS_ENDPOINT },
  { name: 'AWS_ENDPOINT_URL_S3', value: S3_ENDPOINT },
  { name: 'AWS_REGION', value: 'us-east-1' },
]

/** A container whose first and only action is a call by the SDK: who am I? */
export function whoAmI(name = 'app'): object {
  return { name, image: IMAGES.appJavascript, env: APP_ENV }
}

/** The same; afterwards it stays, as a server does. */
export function whoAmIThenStay(name = 'app'): object {
  return { ...whoAmI(name), command: ['sh', '-c', 'node /app/main.mjs && exec sleep 3600'] }
}

/** Spec of a pod of ServiceAccount `app` that ends at once when it is deleted. */
export function podSpec(...containers: readonly object[]): object {
  return { serviceAccountName: 'app', terminationGracePeriodSeconds: 1, containers }
}

/** What `whoAmI` in a container printed, once it did. */
export function identityOf(
  { kubectl }: Suite,
  { namespace }: Team,
  pod: string,
  container = 'app',
): Promise<unknown> {
  return waitFor(`who container ${container} of ${pod} is`, 240_000, async () => {
    const log = await kubectl(['logs', pod, '--namespace', namespace, '--container', container])
    return log === '' ? undefined : (JSON.parse(log) as unknown)
  })
}
