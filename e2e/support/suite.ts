import { randomBytes } from 'node:crypto'
import { awsAdmin, S3_ENDPOINT, STS_ENDPOINT, type AwsAdmin } from '../cluster/aws.ts'
import { IMAGES } from '../versions.ts'
import { hostOf, type Host } from './host.ts'
import { kubectlOf, type Kubectl } from './kubectl.ts'

export const REGION = 'us-east-1'

/** The cluster as a test file uses it. */
export interface Suite {
  readonly host: Host
  readonly kubectl: Kubectl
  readonly aws: AwsAdmin
  /** Ends in something that no other run has, so what a run left behind is in nobody's way. */
  readonly prefix: string
}

/** @param name of the test file, with which everything that it makes begins */
export async function openSuite(name: string): Promise<Suite> {
  const host = hostOf(process.env, (line) => process.stdout.write(line))
  const prefix = `${name}-${randomBytes(3).toString('hex')}`
  return { host, kubectl: kubectlOf(host), aws: await awsAdmin(host), prefix }
}

/** A Namespace that permits roles, and a ServiceAccount that names one, which trusts it. */
export interface Team {
  readonly namespace: string
  readonly role: string
}

export interface TeamOptions {
  /** Labels of the Namespace. */
  readonly labels?: Readonly<Record<string, string>>
  /** Annotations of the ServiceAccount, besides its role. */
  readonly annotations?: Readonly<Record<string, string>>
  /** `NAMESPACE:NAME` of the ServiceAccount that the role trusts; default: the team's own. */
  readonly trusts?: string
}

/** A team whose ServiceAccount is `app`, in the Namespace PREFIX-NAME, with the role of that name. */
export async function createTeam(
  { kubectl, aws, prefix }: Suite,
  name: string,
  { labels = {}, annotations = {}, trusts }: TeamOptions = {},
): Promise<Team> {
  const namespace = `${prefix}-${name}`
  const role = await aws.createRole(namespace, trusts ?? `${namespace}:app`)
  await kubectl.apply(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: namespace,
        labels,
        annotations: { 'nocreds.dev/permitted-roles': `arn:aws:iam::[0-9]+:role/${prefix}-.*` },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: {
        name: 'app',
        namespace,
        annotations: { 'nocreds.dev/role-arn': role, ...annotations },
      },
    },
  )
  return { namespace, role }
}

/** What the app of a test says of itself; without it the SDK would ask AWS. */
const APP_ENV = [
  { name: 'AWS_ENDPOINT_URL_STS', value: STS_ENDPOINT },
  { name: 'AWS_ENDPOINT_URL_S3', value: S3_ENDPOINT },
  { name: 'AWS_REGION', value: REGION },
]

/** A container whose first and only action is a call by the SDK: who am I? */
export function whoAmI(name = 'app'): object {
  return { name, image: IMAGES.appJavascript, env: APP_ENV }
}

/** The same, which stays afterwards, as a server does. */
export function whoAmIThenStay(name = 'app'): object {
  const script = "node /app/main.mjs && touch /tmp/done && trap 'exit 0' TERM && sleep 3600 & wait"
  return { ...whoAmI(name), command: ['sh', '-c', script.replace('touch /tmp/done && ', '')] }
}
