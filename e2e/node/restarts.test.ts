/** Outages around nocreds: the apiserver, the node. An app that asks every few seconds notices none. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { installDriver, uninstallDriver } from '../cluster/install.ts'
import { apiserverOf } from '../support/apiserver.ts'
import { startAsking } from '../support/asking-app.ts'
import { BY_DRIVER } from '../support/driver.ts'
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
/** Its pods are served by the driver. */
let driven: Team

beforeAll(async () => {
  suite = await openSuite('outages')
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  await installDriver(suite.host)
  team = await createTeam(suite, 'team')
  driven = await createTeam(suite, 'driven', BY_DRIVER)
}, 300_000)

afterAll(async () => {
  await closeSuite(suite)
  await uninstallDriver(suite.host)
}, 400_000)

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
  const teams = [team, driven]
  const apps = await Promise.all(teams.map((one) => startAsking(suite, one, 'on-node')))
  try {
    await restartNode(suite.host)
  } finally {
    await apiserverReady(suite.kubectl)
    const rollout = ['rollout', 'status', 'deployment/aws', '--timeout=240s', ...AWS]
    await waitFor('STS to be back', 300_000, () => suite.kubectl(rollout))
    await webhook.settled()
    await admissionIsBack(await apiserverOf(suite.kubectl), team)
  }
  const restarts = async ({ namespace }: Team): Promise<number> => {
    const { status } = await suite.kubectl.get<{
      readonly status: { readonly containerStatuses: readonly { readonly restartCount: number }[] }
    }>(['pod', 'on-node', '-n', namespace])
    return status.containerStatuses[0]!.restartCount
  }
  await waitFor('the apps to be restarted', 240_000, async () =>
    (await Promise.all(teams.map(restarts))).every((count) => count > 0) ? true : undefined,
  )
  // STS came back with the node as the apps did, and may have been ready after them.
  for (const app of apps) await app.expectAnswered()
  for (const one of teams) {
    await suite.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'after', namespace: one.namespace },
      spec: podSpec(whoAmIThenStay()),
    })
    expect(await identityOf(suite, one, 'after')).toEqual(one.identity)
  }
}, 900_000)
