/** The driver replaced and killed, the kubelet restarted, as many pods at once as the node takes: none is without its role. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { realClock } from '../../shared/base/clock.ts'
import { ACCOUNT, stsOnLoopback } from '../cluster/aws.ts'
import { startAsking, type AskingApp } from '../support/asking-app.ts'
import {
  BY_DRIVER,
  credentialsOnNode,
  driverLog,
  driverPod,
  killDriver,
  openDriverSuite,
  restartDriver,
} from '../support/driver.ts'
import { onNode, restartKubelet } from '../support/node.ts'
import { sendSigned } from '../support/signed-request.ts'
import { closeSuite, createTeam, identityOf, podSpec } from '../support/suite.ts'
import { whoAmIThenStay, type Suite, type Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

const ACCOUNTS = 20
const MAX_PODS = 100
/** Pods that other parts of the cluster may start meanwhile. */
const SPARE_PODS = 5

let suite: Suite
let team: Team
let running: AskingApp

beforeAll(async () => {
  suite = await openDriverSuite('driver-recovery')
  team = await createTeam(suite, 'team', BY_DRIVER)
  running = await startAsking(suite, team, 'running')
}, 300_000)

afterAll(() => closeSuite(suite))

/** While `action` and afterwards the running app notices nothing, and a new pod starts. */
async function expectUnnoticed(newPod: string, action: () => Promise<void>): Promise<void> {
  const before = (await running.said()).length
  await action()
  const metadata = { name: newPod, namespace: team.namespace }
  const spec = podSpec(whoAmIThenStay())
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  expect(await identityOf(suite, team, newPod)).toEqual(team.identity)
  await running.expectUnnoticed(before + 3)
}

test(
  'the driver is replaced',
  () => expectUnnoticed('replaced', () => restartDriver(suite)),
  300_000,
)

test(
  'the kubelet is restarted',
  () => expectUnnoticed('kubelet', () => restartKubelet(suite.host)),
  300_000,
)

test(`pods of ${ACCOUNTS} ServiceAccounts at once, and the driver is killed meanwhile: each has its own role`, async () => {
  const many = await createTeam(suite, 'many', BY_DRIVER)
  const names = Array.from({ length: ACCOUNTS }, (_, index) => `app-${index}`)
  await Promise.all(names.map((name) => createAccount(many, name)))
  const replicas = Math.floor((await freePods()) / ACCOUNTS)
  expect(replicas).toBeGreaterThan(1)
  const { restartCount } = (await driverPod(suite)).status.containerStatuses[0]
  const [first, ...others] = names.map((name) => deploymentOf(many, name, replicas))
  await suite.kubectl.apply(first!)
  await waitFor('the first volume to be published', 120_000, async () =>
    (await publishedIn(many)) > 0 ? true : undefined,
  )
  await Promise.all([suite.kubectl.apply(...others), killDriver(suite)])
  const pods = await waitFor('all pods to be ready', 300_000, async () => {
    const all = await podsOf(many)
    const isAll = all.length === replicas * ACCOUNTS && all.every(({ isReady }) => isReady)
    return isAll ? all : undefined
  })
  const arns = await arnsOnNode()
  for (const { name, uid, account } of pods) {
    const session = `${many.namespace}.${account}`
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/${many.namespace}-${account}/${session}`
    expect({ name, arn: arns.get(uid) }).toEqual({ name, arn })
  }
  const after = (await driverPod(suite)).status.containerStatuses[0]
  expect(after.restartCount).toBe(restartCount + 1)
  expect(await publishedIn(many)).toBeGreaterThan(0) // by the process that came after
  await running.expectUnnoticed((await running.said()).length)
}, 600_000)

async function createAccount({ namespace }: Team, name: string): Promise<void> {
  const role = await suite.aws.createRole(`${namespace}-${name}`, `${namespace}:${name}`)
  const annotations = { 'nocreds.dev/role-arn': role, ...BY_DRIVER.annotations }
  const metadata = { name, namespace, annotations }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata })
}

/** How many volumes of the team's pods the present process of the driver published. */
async function publishedIn({ namespace }: Team): Promise<number> {
  const published = (await driverLog(suite)).filter(
    (line) => line['msg'] === 'volume published' && line['namespace'] === namespace,
  )
  return published.length
}

function deploymentOf({ namespace }: Team, name: string, replicas: number): object {
  const labels = { app: name }
  const container = { name: 'app', image: IMAGES.appJavascript, command: ['sleep', '3600'] }
  const spec = { ...podSpec(container), serviceAccountName: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
    },
  }
}

/** How many more pods the node takes, at most {@link MAX_PODS}. */
async function freePods(): Promise<number> {
  const { items } = await suite.kubectl.get<{
    readonly items: readonly [
      { readonly status: { readonly allocatable: { readonly pods: string } } },
    ]
  }>(['nodes'])
  const names = await suite.kubectl(['get', 'pods', '--all-namespaces', '--output', 'name'])
  const free = Number(items[0].status.allocatable.pods) - names.split('\n').length - SPARE_PODS
  return Math.min(MAX_PODS, free)
}

interface PodOf {
  readonly name: string
  readonly uid: string
  readonly account: string
  readonly isReady: boolean
}

async function podsOf({ namespace }: Team): Promise<readonly PodOf[]> {
  const { items } = await suite.kubectl.get<{
    readonly items: readonly {
      readonly metadata: { readonly name: string; readonly uid: string }
      readonly spec: { readonly serviceAccountName: string }
      readonly status: { readonly containerStatuses?: readonly { readonly ready: boolean }[] }
    }[]
  }>(['pods', '--namespace', namespace])
  return items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    account: spec.serviceAccountName,
    isReady: status.containerStatuses?.every(({ ready }) => ready) ?? false,
  }))
}

/** Whom STS knows by the credentials of each pod of the node, by the pod's uid. A hundred SDKs would take minutes. */
async function arnsOnNode(): Promise<ReadonlyMap<string, string>> {
  const files = `${credentialsOnNode('*')}/credentials.json`
  const script = `for file in ${files}; do printf '%s ' "$file"; tr -d '\\n' < "$file"; echo; done`
  const lines = (await onNode(suite.host, 'sh', '-c', script)).split('\n')
  const url = `http://${await stsOnLoopback(suite.host)}/`
  const body = new URLSearchParams({ Action: 'GetCallerIdentity', Version: '2011-06-15' })
  const ask = async (line: string): Promise<[string, string]> => {
    const at = line.indexOf(' ')
    const { AccessKeyId, SecretAccessKey, SessionToken } = JSON.parse(line.slice(at)) as Readonly<
      Record<'AccessKeyId' | 'SecretAccessKey' | 'SessionToken', string>
    >
    const keys = {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
    }
    const request = { method: 'POST', url, service: 'sts', body: body.toString() } as const
    const answer = await sendSigned(request, keys, realClock.now())
    const [, uid = ''] = /\/pods\/([^/]+)\//.exec(line) ?? []
    return [uid, /<Arn>([^<]+)</.exec(answer)?.[1] ?? answer]
  }
  return new Map(await Promise.all(lines.map(ask)))
}
