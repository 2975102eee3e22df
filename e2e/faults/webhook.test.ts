/** Faults of nocreds' own parts: replicas of the webhook, its certificate, and the exchanger in a pod. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CREDENTIALS_FILES, CREDENTIALS_VOLUME, EXCHANGER } from '../../contract/names.ts'
import { INSTALL } from '../cluster/names.ts'
import { apiserverOf, type Apiserver } from '../support/apiserver.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import { killContainer } from '../support/node.ts'
import { isInjected, streamPodsDuring, type Streamed } from '../support/pod-stream.ts'
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
import { waitFor } from '../support/wait.ts'

const SYSTEM = ['--namespace', 'nocreds-system']
const LEAF_SECONDS = 60

interface Status {
  readonly status: {
    readonly initContainerStatuses?: readonly {
      readonly name: string
      readonly containerID: string
      readonly restartCount: number
      readonly ready: boolean
    }[]
  }
}

interface FailedCreate {
  readonly involvedObject: { readonly name: string }
  readonly message: string
}

let suite: Suite
let api: Apiserver
let webhook: Webhook
let team: Team

beforeAll(async () => {
  suite = await openSuite('faults')
  api = await apiserverOf(suite.kubectl)
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  team = await createTeam(suite, 'team')
}, 300_000)

afterAll(() => closeSuite(suite))

function expectNoneLost(streamed: Streamed): void {
  expect(streamed).toMatchObject({ failed: [], withoutCredentials: [] })
  expect(streamed.created).toBeGreaterThan(20)
}

test('a replica is deleted under a stream of pods: none fails, each has credentials', async () => {
  const [victim] = await webhook.replicas()
  const streamed = await streamPodsDuring(api, team, async () => {
    await suite.kubectl(['delete', 'pod', victim!.metadata.name, ...SYSTEM])
    await webhook.settled()
  })
  expectNoneLost(streamed)
}, 300_000)

test('the process of a replica is killed: each pod of a Deployment is created, with credentials', async () => {
  const replicas = 40
  const labels = { app: 'killed' }
  const spec = { ...podSpec({ name: 'app', image: 'example/app:1' }), schedulerName: 'none' }
  const [victim] = await webhook.replicas()
  await Promise.all([
    killContainer(suite.host, victim!.status.containerStatuses[0]!.containerID),
    suite.kubectl.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'killed', namespace: team.namespace },
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec },
      },
    }),
  ])
  const pods = await waitFor(`${replicas} pods`, 120_000, async () => {
    const { items } = await suite.kubectl.get<{ items: Parameters<typeof isInjected>[0][] }>([
      ...['pods', '--selector', 'app=killed', '--namespace', team.namespace],
    ])
    return items.length === replicas ? items : undefined
  })
  expect(pods.filter((pod) => !isInjected(pod, team.role))).toEqual([])
  const replica = await waitFor('the replica to be back', 60_000, async () =>
    (await webhook.replicas()).find(
      ({ metadata, status }) =>
        metadata.uid === victim!.metadata.uid && status.containerStatuses[0]!.restartCount > 0,
    ),
  )
  expect(replica.status.containerStatuses[0]!.restartCount).toBe(
    victim!.status.containerStatuses[0]!.restartCount + 1,
  )
  await webhook.settled()
}, 300_000)

test('without a replica, pods of labelled namespaces wait with an error, all others start', async () => {
  const other = `${suite.prefix}-other`
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: other } })
  const labels = { app: 'waits' }
  await webhook.scale(0)
  try {
    await suite.kubectl.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'waits', namespace: team.namespace },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podSpec(whoAmIThenStay()) },
      },
    })
    const message = await waitFor('an event that says why', 60_000, async () => {
      const { items } = await suite.kubectl.get<{ items: FailedCreate[] }>([
        ...['events', '--field-selector=reason=FailedCreate', '--namespace', team.namespace],
      ])
      return items.find(({ involvedObject }) => involvedObject.name.startsWith('waits-'))?.message
    })
    expect(message).toContain('failed calling webhook "pods.nocreds.dev"')
    expect(await podsOf('waits')).toEqual([])
    const stays = { ...whoAmI(), command: ['sleep', '3600'] }
    await suite.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'starts', namespace: other },
      spec: { terminationGracePeriodSeconds: 1, containers: [stays] },
    })
    const ready = ['--for=condition=Ready', '--timeout=90s', '--namespace', other]
    await suite.kubectl(['wait', 'pod/starts', ...ready])
  } finally {
    await webhook.scale(2)
  }
  const [pod] = await waitFor('the pod that waited', 120_000, async () => {
    const pods = await podsOf('waits')
    return pods.length > 0 ? pods : undefined
  })
  expect(await identityOf(suite, team, pod!)).toEqual(team.identity)
}, 400_000)

async function podsOf(app: string): Promise<string[]> {
  const selector = ['--selector', `app=${app}`, '--namespace', team.namespace]
  const { items } = await suite.kubectl.get<{
    items: { readonly metadata: { readonly name: string } }[]
  }>(['pods', ...selector])
  return items.map(({ metadata }) => metadata.name)
}

test('the serving certificate is replaced twice under a stream of pods: none fails', async () => {
  const args = '/spec/template/spec/containers/0/args/-'
  const flag = `--leaf-lifetime-seconds=${LEAF_SECONDS}`
  const patch = JSON.stringify([{ op: 'add', path: args, value: flag }])
  try {
    await withoutCertificates()
    await suite.kubectl([
      ...['patch', 'deployment', 'nocreds-webhook', '--type=json', '--patch', patch, ...SYSTEM],
    ])
    await webhook.scale(2)
    const streamed = await streamPodsDuring(api, team, async () => {
      for (let time = 0; time < 2; time += 1) {
        const before = Math.max(...(await webhook.certificateEndsMs()))
        await waitFor('a newer certificate in both replicas', 90_000, async () => {
          const ends = await webhook.certificateEndsMs()
          return ends.every((endMs) => endMs > before) ? true : undefined
        })
      }
    })
    expectNoneLost(streamed)
  } finally {
    await withoutCertificates()
    await suite.kubectl(['apply', '-f', INSTALL])
    await webhook.settled()
  }
}, 600_000)

/** No replica runs, and none finds a certificate of a longer or shorter lifetime when it starts. */
async function withoutCertificates(): Promise<void> {
  await webhook.scale(0)
  const empty = JSON.stringify([{ op: 'add', path: '/data', value: {} }])
  await suite.kubectl([
    ...['patch', 'secret', 'nocreds-webhook-tls', '--type=json', '--patch', empty, ...SYSTEM],
  ])
}

describe('the exchanger of a pod is killed', () => {
  const CASES = { process: CREDENTIALS_FILES.document, endpoint: CREDENTIALS_FILES.authorization }

  test.each(['process', 'endpoint'] as const)(
    'delivery %s: the app continues',
    async (delivery) => {
      await suite.kubectl.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: delivery,
          namespace: team.namespace,
          annotations: { 'nocreds.dev/delivery': delivery },
        },
        spec: podSpec(whoAmIThenStay()),
      })
      expect(await identityOf(suite, team, delivery)).toEqual(team.identity)
      const inApp = (...command: string[]): Promise<string> =>
        suite.kubectl([
          ...['exec', delivery, '--namespace', team.namespace, '--container', 'app', '--'],
          ...command,
        ])
      const file = `${CREDENTIALS_VOLUME.mountPath}/${CASES[delivery]}`
      const before = await inApp('cat', file)
      await killContainer(suite.host, (await exchangerOf(delivery)).containerID)
      // What the app reads is there while no exchanger is. Compared as a whole: a failure prints no secret.
      expect((await inApp('cat', file)) === before).toBe(true)
      await waitFor('the exchanger to be back', 90_000, async () => {
        const { restartCount, ready } = await exchangerOf(delivery)
        return restartCount === 1 && ready ? true : undefined
      })
      if (delivery === 'endpoint') expect((await inApp('cat', file)) === before).toBe(true)
      expect(JSON.parse(await inApp('node', '/app/main.mjs'))).toEqual(team.identity)
    },
  )

  async function exchangerOf(pod: string) {
    const { status } = await suite.kubectl.get<Status>(['pod', pod, '-n', team.namespace])
    const found = status.initContainerStatuses?.find(({ name }) => name === EXCHANGER.container)
    if (found === undefined) throw new Error(`pod ${pod} has no status of its exchanger`)
    return found
  }
})
