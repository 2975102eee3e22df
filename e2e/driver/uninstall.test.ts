/** The driver is taken away while pods use it: they keep what they have; what waits for it goes on once it is back. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { deleteDriver, installDriver } from '../cluster/install.ts'
import { startAsking, type AskingApp } from '../support/asking-app.ts'
import { BY_DRIVER, mountFailure, openDriverSuite } from '../support/driver.ts'
import { closeSuite, createTeam, identityOf, podSpec } from '../support/suite.ts'
import { whoAmIThenStay, type Suite, type Team } from '../support/suite.ts'

let suite: Suite
let team: Team
let running: AskingApp

beforeAll(async () => {
  suite = await openDriverSuite('driver-away')
  team = await createTeam(suite, 'team', BY_DRIVER)
  await apply('deleted')
  running = await startAsking(suite, team, 'running')
  expect(await identityOf(suite, team, 'deleted')).toEqual(team.identity)
}, 300_000)

afterAll(async () => {
  await installDriver(suite.host)
  await closeSuite(suite)
}, 300_000)

async function apply(name: string): Promise<void> {
  const metadata = { name, namespace: team.namespace }
  const spec = podSpec(whoAmIThenStay())
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

test('uninstalled: pods keep their credentials, new ones say what is missing, deleted ones wait', async () => {
  const before = (await running.said()).length
  await deleteDriver(suite.host)
  await apply('new')
  const inNamespace = ['--namespace', team.namespace]
  await suite.kubectl(['delete', 'pod', 'deleted', '--wait=false', ...inNamespace])
  const missing = 'driver name csi.nocreds.dev not found in the list of registered CSI drivers'
  await mountFailure(suite, team, 'new', missing)
  await running.expectUnnoticed(before + 3)
  const { metadata } = await suite.kubectl.get<{
    readonly metadata: { readonly deletionTimestamp?: string }
  }>(['pod', 'deleted', ...inNamespace])
  expect(metadata.deletionTimestamp).toBeDefined()
}, 300_000)

test('installed again: the new pod starts, the deleted one is gone', async () => {
  await installDriver(suite.host)
  expect(await identityOf(suite, team, 'new')).toEqual(team.identity)
  const gone = ['wait', 'pod/deleted', '--for=delete', '--timeout=150s']
  await suite.kubectl([...gone, '--namespace', team.namespace])
  await running.expectUnnoticed((await running.said()).length)
}, 400_000)
