import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmI,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { FIND_TOKENS } from '../support/token-search.ts'
import { waitFor } from '../support/wait.ts'

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly status: {
      readonly phase: string
      readonly containerStatuses: readonly {
        readonly name: string
        readonly restartCount: number
        readonly state: { readonly terminated?: { readonly exitCode: number } }
      }[]
    }
  }[]
}

const AT_ONCE = 50

let suite: Suite
let team: Team

beforeAll(async () => {
  suite = await openSuite('workloads')
  team = await createTeam(suite, 'team')
  await startCronJob()
}, 60_000)

afterAll(() => closeSuite(suite))

function inTeam(kind: string, apiVersion: string, name: string, spec: object): object {
  return { apiVersion, kind, metadata: { name, namespace: team.namespace }, spec }
}

/** Names of the pods of an app; there are `count`. */
async function podsOf(app: string, count: number): Promise<string[]> {
  return waitFor(`${count} pods of ${app}`, 60_000, async () => {
    const selector = ['--selector', `app=${app}`, '--namespace', team.namespace]
    const { items } = await suite.kubectl.get<PodList>(['pods', ...selector])
    return items.length === count ? items.map(({ metadata }) => metadata.name) : undefined
  })
}

function waitUntil(object: string, condition: string): Promise<string> {
  const until = ['--for', condition, '--timeout=150s', '--namespace', team.namespace]
  return suite.kubectl(['wait', object, ...until])
}

/** Its first job starts with the next minute, so other tests need not wait for it. */
async function startCronJob(): Promise<void> {
  const template = {
    metadata: { labels: { app: 'cron' } },
    spec: { ...podSpec(whoAmI()), restartPolicy: 'Never' },
  }
  const jobTemplate = { spec: { backoffLimit: 0, template } }
  const spec = { schedule: '* * * * *', concurrencyPolicy: 'Forbid', jobTemplate }
  await suite.kubectl.apply(inTeam('CronJob', 'batch/v1', 'cron', spec))
}

describe('annotate, apply, credentials', () => {
  test.each(['Deployment', 'StatefulSet'])('%s', async (kind) => {
    const app = kind.toLowerCase()
    const template = { metadata: { labels: { app } }, spec: podSpec(whoAmIThenStay()) }
    const spec = { replicas: 2, selector: { matchLabels: { app } }, template }
    await suite.kubectl.apply(inTeam(kind, 'apps/v1', app, spec))
    const inNamespace = ['--timeout=120s', '--namespace', team.namespace]
    await suite.kubectl(['rollout', 'status', `${app}/${app}`, ...inNamespace])
    for (const pod of await podsOf(app, 2))
      expect(await identityOf(suite, team, pod)).toEqual(team.identity)
    await suite.kubectl(['delete', `${app}/${app}`, '--namespace', team.namespace])
  })

  test('Job: completes, as the sidecar does not keep it running', async () => {
    const template = {
      metadata: { labels: { app: 'job' } },
      spec: { ...podSpec(whoAmI()), restartPolicy: 'Never' },
    }
    await suite.kubectl.apply(inTeam('Job', 'batch/v1', 'job', { backoffLimit: 0, template }))
    await waitUntil('job/job', 'condition=Complete')
    const [pod] = await podsOf('job', 1)
    expect(await identityOf(suite, team, pod!)).toEqual(team.identity)
  })

  /** Applies a pod of the team that runs to its end. */
  async function runPod(name: string, spec: object): Promise<void> {
    const whole = { ...podSpec(whoAmI()), restartPolicy: 'Never', ...spec }
    await suite.kubectl.apply(inTeam('Pod', 'v1', name, whole))
    await waitUntil(`pod/${name}`, 'jsonpath={.status.phase}=Succeeded')
  }

  test('init containers that need credentials', async () => {
    await runPod('init', { initContainers: [whoAmI('first'), whoAmI('second')] })
    for (const container of ['first', 'second', 'app'])
      expect(await identityOf(suite, team, 'init', container)).toEqual(team.identity)
  })

  const CONTAINER_OF_NOBODY = {
    runAsUser: 1_000_700_000,
    runAsGroup: 0,
    runAsNonRoot: true,
    readOnlyRootFilesystem: true,
  }
  test.each([
    ['one process namespace', 'processes', { shareProcessNamespace: true }],
    [
      'arbitrary user, read-only root',
      'nobody',
      { containers: [{ ...whoAmI(), securityContext: CONTAINER_OF_NOBODY }] },
    ],
    [
      'network of the node, delivery process',
      'host-network',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
    ],
  ])('%s', async (_what, name, spec) => {
    await runPod(name, spec)
    expect(await identityOf(suite, team, name)).toEqual(team.identity)
  })

  test('Namespace that enforces Pod Security restricted', async () => {
    const level = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    const restricted = await createTeam(suite, 'restricted', { labels: level })
    const securityContext = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    }
    const spec = { ...podSpec({ ...whoAmI(), securityContext }), restartPolicy: 'Never' }
    const metadata = { name: 'app', namespace: restricted.namespace }
    await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
    expect(await identityOf(suite, restricted, 'app')).toEqual(restricted.identity)
    // Without what makes it restricted the same Namespace refuses it.
    const loose = { ...metadata, name: 'loose' }
    await expect(
      suite.kubectl.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: loose,
        spec: podSpec(whoAmI()),
      }),
    ).rejects.toThrow('violates PodSecurity "restricted:latest"')
  })
})

test('CronJob: its next job completes', async () => {
  await waitUntil('cronjob/cron', 'jsonpath={.status.lastSuccessfulTime}')
  await suite.kubectl(['delete', 'cronjob/cron', '--namespace', team.namespace])
})

test(`${AT_ONCE} pods at once: the first action of each is a call by the SDK, and none fails`, async () => {
  const spec = { ...podSpec(whoAmI()), restartPolicy: 'Never' }
  const template = { metadata: { labels: { app: 'many' } }, spec }
  const many = { parallelism: AT_ONCE, completions: AT_ONCE, backoffLimit: 0, template }
  await suite.kubectl.apply(inTeam('Job', 'batch/v1', 'many', many))
  await waitFor('the job of all pods to end', 1_200_000, async () => {
    const job = await suite.kubectl.get<{
      readonly status: { readonly conditions?: readonly { readonly type: string }[] }
    }>(['job/many', '--namespace', team.namespace])
    const ends = job.status.conditions?.filter(({ type }) => /^(Complete|Failed)$/.test(type)) ?? []
    return ends.length > 0 ? ends : undefined
  })
  const inNamespace = ['--namespace', team.namespace]
  const selector = ['--selector', 'app=many', ...inNamespace]
  const { items } = await suite.kubectl.get<PodList>(['pods', ...selector])
  const failed = items.filter(({ status }) => status.phase === 'Failed')
  // What the first of them said tells more than a count.
  for (const { metadata, status } of failed.slice(0, 2)) {
    const logs = ['logs', metadata.name, '--all-containers', '--prefix', ...inNamespace]
    suite.host.progress.say(`${JSON.stringify(status)}\n${await suite.kubectl(logs)}`)
  }
  expect(failed.map(({ metadata }) => metadata.name)).toEqual([])
  expect(items).toHaveLength(AT_ONCE)
  for (const { status } of items)
    expect(status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [{ name: 'app', restartCount: 0, state: { terminated: { exitCode: 0 } } }],
    })
}, 1_320_000)

describe('the token is not readable from an app container', () => {
  test.each(['process', 'endpoint'])('delivery %s', async (delivery) => {
    const name = `token-${delivery}`
    const annotations = { 'nocreds.dev/delivery': delivery }
    await suite.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: team.namespace, annotations },
      spec: { ...podSpec(whoAmIThenStay()), shareProcessNamespace: true },
    })
    expect(await identityOf(suite, team, name)).toEqual(team.identity)
    const inApp = ['exec', name, '--namespace', team.namespace, '--container', 'app', '--']
    const audiences = await suite.kubectl([...inApp, 'node', '-e', FIND_TOKENS])
    // That of the pod's own API token shows that the search finds tokens.
    const ordinary = await suite.kubectl(['get', '--raw', '/.well-known/openid-configuration'])
    expect(JSON.parse(audiences)).toEqual([(JSON.parse(ordinary) as { issuer: string }).issuer])
  })
})
