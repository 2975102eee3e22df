/** Outages around nocreds: the apiserver, the node. An app that asks every few seconds notices none. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { apiserverOf } from '../support/apiserver.ts'
import { startAsking } from '../support/asking-app.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import { apiserverReady, containerNamed, killContainer, restartNode } from '../support/node.ts'
import { admissionIsBack, streamPodsDuring } from '../support/pod-stream.ts'
import {
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

const AWS = ['--namespace', 'aws']

let suite: Suite
let webhook: Webhook
let team: Team

beforeAll(async () => {
  suite = await openSuite('outages')
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  team = await createTeam(suite, 'team')
}, 300_000)

afterAll(() => closeSuite(suite))

test('the apiserver is killed: pods continue, the webhook does not restart, new pods are injected', async () => {
  const app = await startAsking(suite, team, 'without-apiserver')
  const restarts = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await webhook.replicas()).map(({ metadata, status }) => [
        metadata.uid,
        status.containerStatuses[0]!.restartCount,
      ]),
    )
  const before = await restarts()
  const asked = (await app.said()).length
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
  await app.expectUnnoticed(asked)
  expect(await restarts()).toEqual(before)
}, 600_000)

test('the node restarts: running pods have credentials again, new ones start', async () => {
  const app = await startAsking(suite, team, 'on-node')
  try {
    await restartNode(suite.host)
  } finally {
    await apiserverReady(suite.kubectl)
    const rollout = ['rollout', 'status', 'deployment/aws', '--timeout=240s', ...AWS]
    await waitFor('STS to be back', 300_000, () => suite.kubectl(rollout))
    await webhook.settled()
    await admissionIsBack(await apiserverOf(suite.kubectl), team)
  }
  await waitFor('the app to be restarted', 240_000, async () => {
    const { status } = await suite.kubectl.get<{
      readonly status: { readonly containerStatuses: readonly { readonly restartCount: number }[] }
    }>(['pod', 'on-node', '-n', team.namespace])
    return status.containerStatuses[0]!.restartCount > 0 ? true : undefined
  })
  // STS came back with the node as the app did, and may have been ready after it.
  await app.expectAnswered()
  await suite.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'after', namespace: team.namespace },
    spec: podSpec(whoAmIThenStay()),
  })
  expect(await identityOf(suite, team, 'after')).toEqual(team.identity)
}, 900_000)
