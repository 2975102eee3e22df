/** Credentials and token of a running pod are replaced, and the SDK in it does not notice. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { SIDECAR_DELIVERIES } from '../../contract/delivery.ts'
import { STS_ENDPOINT } from '../cluster/aws.ts'
import { restartKubelet, tokenDigest } from '../support/node.ts'
import { appBesideOwnSts, ownSts, type OwnSts } from '../support/own-sts.ts'
import { closeSuite, createTeam, openSuite, podSpec } from '../support/suite.ts'
import type { Suite, Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

/** Half of it, 20 s, is long for an exchange on a busy machine, and two refreshes come within a minute. */
const LIFETIME_SECONDS = 40
const PORT = 8080

interface Answer {
  readonly account?: string
  readonly arn?: string
  readonly key?: string
  readonly failed?: string
}

let suite: Suite
let team: Team
let sts: OwnSts

beforeAll(async () => {
  suite = await openSuite('refresh')
  team = await createTeam(suite, 'team')
  sts = await startShortLivedSts(`${suite.prefix}-sts`)
  for (const delivery of SIDECAR_DELIVERIES) {
    const annotations = { 'nocreds.dev/delivery': delivery }
    await suite.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: delivery, namespace: team.namespace, annotations },
      spec: {
        ...podSpec(appBesideOwnSts(['node', '/app/forever.mjs'])),
        hostAliases: sts.hostAliases,
      },
    })
  }
}, 120_000)

afterAll(() => closeSuite(suite))

/** Real STS answers, but of credentials that end within the minute; STS itself gives no less than 15. */
async function startShortLivedSts(namespace: string): Promise<OwnSts> {
  const script = await readFile(join(import.meta.dirname, 'short-lived-sts.ts'), 'utf8')
  const env = { UPSTREAM: STS_ENDPOINT, LIFETIME_SECONDS, PORT }
  const volumeMounts = [{ name: 'script', mountPath: '/app' }]
  const container = {
    name: 'sts',
    image: IMAGES.node,
    command: ['node', '/app/main.ts'],
    env: Object.entries(env).map(([name, value]) => ({ name, value: String(value) })),
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    volumeMounts,
  }
  const volumes = [{ name: 'script', configMap: { name: 'script' } }]
  const spec = { terminationGracePeriodSeconds: 1, containers: [container], volumes }
  const data = { 'main.ts': script }
  await suite.kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'script', namespace }, data },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'sts', namespace, labels: { app: 'short-lived' } },
      spec,
    },
  )
  const ready = ['--for=condition=Ready', '--timeout=90s', '--namespace', namespace]
  await suite.kubectl(['wait', 'pod/sts', ...ready])
  return ownSts(suite, { namespace, app: 'short-lived', port: PORT })
}

async function answersTo(pod: string): Promise<Answer[]> {
  const log = await suite.kubectl(['logs', pod, '--namespace', team.namespace, '-c', 'app'])
  return log.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Answer]))
}

/** Waits until the pod has asked with so many keys. */
function askedWith(pod: string, keys: number): Promise<Answer[]> {
  return waitFor(`${pod} to ask with ${keys} keys`, 150_000, async () => {
    const answers = await answersTo(pod)
    return new Set(answers.map(({ key }) => key)).size >= keys ? answers : undefined
  })
}

function expectNoneFailed(answers: readonly Answer[]): void {
  for (const { account, arn, failed } of answers)
    expect({ account, arn, failed }).toEqual({ ...team.identity, failed: undefined })
}

test('the SDK continues over two refreshes', async () => {
  for (const pod of SIDECAR_DELIVERIES) {
    const answers = await askedWith(pod, 3)
    expectNoneFailed(answers)
    // One client asked all along, far more often than its credentials changed.
    expect(answers.length).toBeGreaterThan(20)
  }
}, 400_000)

test('the kubelet replaces the token: the next exchange presents the new one', async () => {
  const tokens = (): Promise<string[]> =>
    Promise.all(SIDECAR_DELIVERIES.map((pod) => tokenDigest(suite, team.namespace, pod)))
  const traded = async (): Promise<string[]> =>
    (await suite.kubectl(['logs', 'sts', '--namespace', `${suite.prefix}-sts`])).split('\n')
  const old = await tokens()
  expect(await traded()).toEqual(expect.arrayContaining(old))
  // It keeps its tokens in memory only, and asks for new ones when it has none.
  await restartKubelet(suite.host)
  const renewed = await waitFor('new tokens', 120_000, async () => {
    const now = await tokens()
    return now.some((digest) => old.includes(digest)) ? undefined : now
  })
  await waitFor('the new tokens to be traded', 120_000, async () => {
    const seen = await traded()
    return renewed.every((digest) => seen.includes(digest)) ? true : undefined
  })
  for (const pod of SIDECAR_DELIVERIES) {
    const before = (await answersTo(pod)).length
    const answers = await waitFor(`${pod} to ask with what the token gave`, 60_000, async () => {
      const now = await answersTo(pod)
      return now.length > before + 3 ? now : undefined
    })
    expectNoneFailed(answers)
  }
}, 600_000)
