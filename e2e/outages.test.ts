/** Outages around nocreds: STS, the apiserver, the node. An app that asks every few seconds notices none. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { realClock, sleep } from '../platform/clock.ts'
import { apiserverOf } from './support/apiserver.ts'
import { apiserverReady, containerNamed, killContainer, restartNode } from './support/node.ts'
import { webhookOf, type Webhook } from './support/nocreds-webhook.ts'
import { streamPodsDuring } from './support/pod-stream.ts'
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
} from './support/suite.ts'
import { waitFor } from './support/wait.ts'

const AWS = ['--namespace', 'aws']

let suite: Suite
let webhook: Webhook
let team: Team
/** Another way to STS, which stays open while the one that exchangers use is closed. */
let stsOfApps: string

beforeAll(async () => {
  suite = await openSuite('outages')
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  team = await createTeam(suite, 'team')
  stsOfApps = suite.prefix
  const ports = [{ port: 80, targetPort: 7078 }]
  await suite.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: stsOfApps, namespace: 'aws' },
    spec: { selector: { app: 'aws' }, ports },
  })
}, 300_000)

afterAll(async () => {
  await suite.kubectl(['delete', 'service', stsOfApps, '--ignore-not-found', ...AWS])
  await closeSuite(suite)
}, 60_000)

/** Asks who it is again and again, each time in a new process, so by a new look at its credentials. */
function asksForever(): object {
  const value = `http://${stsOfApps}.aws.svc.cluster.local`
  const env = [
    { name: 'AWS_ENDPOINT_URL_STS', value },
    { name: 'AWS_REGION', value: 'us-east-1' },
  ]
  const loop = 'while :; do node /app/main.mjs 2>/dev/null || echo failed; sleep 3; done'
  return { ...whoAmI(), env, command: ['sh', '-c', loop] }
}

async function createPod(name: string, container: object): Promise<void> {
  const metadata = { name, namespace: team.namespace }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec(container) })
}

/** What the app said so far, in its present container. */
async function saidBy(pod: string): Promise<string[]> {
  const log = await suite.kubectl(['logs', pod, '-n', team.namespace, '--container', 'app'])
  return log === '' ? [] : log.split('\n')
}

/** Starts an app that asks, and waits until it has an answer. */
async function startAsking(pod: string): Promise<void> {
  await createPod(pod, asksForever())
  await waitFor(`the first answer to ${pod}`, 120_000, async () =>
    (await saidBy(pod)).length > 0 ? true : undefined,
  )
}

/** The app asked once more after `before` answers, and each answer was its role. */
async function expectUnnoticed(pod: string, before: number): Promise<void> {
  const said = await waitFor(`one more answer to ${pod}`, 60_000, async () => {
    const lines = await saidBy(pod)
    return lines.length > before ? lines : undefined
  })
  expect([...new Set(said)]).toEqual([JSON.stringify(team.identity)])
}

const appOf = (app: string): string => JSON.stringify({ spec: { selector: { app } } })

test('STS is down: running pods notice nothing, new ones start when it is back', async () => {
  const outageMs = Number(suite.host.env['NOCREDS_E2E_OUTAGE_SECONDS'] ?? 300) * 1000
  await startAsking('running')
  await suite.kubectl(['patch', 'service', 'sts', '-p', appOf('nobody'), ...AWS])
  let asked = 0
  try {
    const untilMs = realClock.monotonic() + outageMs
    await createPod('new', whoAmIThenStay())
    await waitFor('the exchanger of the new pod to say that STS is away', 120_000, async () => {
      const log = await suite.kubectl([
        'logs',
        'new',
        '-n',
        team.namespace,
        '-c',
        'nocreds-exchanger',
      ])
      return /ECONNREFUSED|EHOSTUNREACH|Timeout|NetworkError/.test(log) ? true : undefined
    })
    await sleep(realClock, Math.max(0, untilMs - realClock.monotonic()))
    asked = (await saidBy('running')).length
    await expectUnnoticed('running', asked)
    await expect(
      suite.kubectl([
        'wait',
        'pod/new',
        '-n',
        team.namespace,
        '--for=condition=Ready',
        '--timeout=1s',
      ]),
    ).rejects.toThrow('timed out')
  } finally {
    await suite.kubectl(['patch', 'service', 'sts', '-p', appOf('aws'), ...AWS])
  }
  expect(
    await waitFor('the new pod to start', 240_000, () => identityOf(suite, team, 'new')),
  ).toEqual(team.identity)
  await expectUnnoticed('running', asked)
}, 900_000)

test('the apiserver is killed: pods go on, the webhook does not restart, new pods are injected', async () => {
  await startAsking('without-apiserver')
  const restarts = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await webhook.replicas()).map(({ metadata, status }) => [
        metadata.uid,
        status.containerStatuses[0]!.restartCount,
      ]),
    )
  const before = await restarts()
  const asked = (await saidBy('without-apiserver')).length
  await killContainer(suite.host, await containerNamed(suite.host, 'kube-apiserver'))
  await apiserverReady(suite.kubectl)
  await webhook.settled()
  // Made after it: the webhook has heard of both, so its informers are back.
  const later = await createTeam(suite, 'later')
  const streamed = await streamPodsDuring(await apiserverOf(suite.kubectl), later, () =>
    sleep(realClock, 5000),
  )
  expect(streamed).toMatchObject({ failed: [], withoutCredentials: [] })
  expect(streamed.created).toBeGreaterThan(0)
  await expectUnnoticed('without-apiserver', asked)
  expect(await restarts()).toEqual(before)
}, 600_000)

test('the node restarts: running pods have credentials again, new ones start', async () => {
  await startAsking('on-node')
  try {
    await restartNode(suite.host)
  } finally {
    await apiserverReady(suite.kubectl)
    const rollout = ['rollout', 'status', 'deployment/aws', '--timeout=240s', ...AWS]
    await waitFor('STS to be back', 300_000, () => suite.kubectl(rollout))
    await webhook.settled()
  }
  await waitFor('the app to be started anew', 240_000, async () => {
    const { status } = await suite.kubectl.get<{
      readonly status: { readonly containerStatuses: readonly { readonly restartCount: number }[] }
    }>(['pod', 'on-node', '-n', team.namespace])
    return status.containerStatuses[0]!.restartCount > 0 ? true : undefined
  })
  await expectUnnoticed('on-node', 0)
  await createPod('after', whoAmIThenStay())
  expect(await identityOf(suite, team, 'after')).toEqual(team.identity)
}, 900_000)
