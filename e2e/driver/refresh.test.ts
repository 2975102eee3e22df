/**
 * Credentials of a minute, kept fresh by the driver under calls, also while STS is down for part of a life; and what an
 * app would gain that could write where the driver does. Certificates: e2e/certificates/renewal.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { STS_ENDPOINT } from '../cluster/aws.ts'
import { BY_DRIVER, driverLog, openDriverSuite, setDriverSts, uidOf } from '../support/driver.ts'
import { startForever, type ForeverApp } from '../support/forever-app.ts'
import { startShortLivedSts } from '../support/short-lived-sts.ts'
import { closeSuite, createTeam, identityOf, podSpec } from '../support/suite.ts'
import { whoAmIThenStay, type Suite, type Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import {
  expectOccupied,
  expectReplaced,
  plantFolder,
  plantLinks,
  removeTreasure,
} from './planted.ts'

const LIFETIME_SECONDS = 60

let suite: Suite
let sts: Awaited<ReturnType<typeof startShortLivedSts>>
let team: Team
let apps: readonly ForeverApp[]

beforeAll(async () => {
  suite = await openDriverSuite('driver-refresh')
  sts = await startShortLivedSts(suite, LIFETIME_SECONDS)
  await setDriverSts(suite, sts.url)
  team = await createTeam(suite, 'team', BY_DRIVER)
  const start = (name: string): Promise<ForeverApp> => startForever(suite, team, name)
  await Promise.all([apply('links'), apply('folder')])
  apps = await Promise.all(['one', 'other'].map(start))
}, 300_000)

afterAll(async () => {
  await setDriverSts(suite, STS_ENDPOINT)
  await removeTreasure(suite)
  await closeSuite(suite)
}, 300_000)

async function apply(name: string, { namespace }: Team = team): Promise<void> {
  const metadata = { name, namespace }
  const spec = podSpec(whoAmIThenStay())
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

/** How often an exchange for the team failed so far. */
async function failures({ namespace }: Team): Promise<number> {
  const failed = (await driverLog(suite)).filter(
    (line) => line['msg'] === 'exchange failed' && line['namespace'] === namespace,
  )
  return failed.length
}

test('links and a folder where the driver writes: it follows none, and no other pod notices', async () => {
  for (const pod of ['links', 'folder'])
    expect(await identityOf(suite, team, pod)).toEqual(team.identity)
  const [links, folder] = [await uidOf(suite, team, 'links'), await uidOf(suite, team, 'folder')]
  await plantLinks(suite, links)
  await plantFolder(suite, folder)
  await expectReplaced(suite, links)
  await expectOccupied(suite, folder)
}, 300_000)

test('the SDK continues over two refreshes, though STS is down for part of a life', async () => {
  const late = await createTeam(suite, 'late', BY_DRIVER)
  const before = await failures(team)
  await Promise.all(apps.map((app) => app.expectAskedWith(2)))
  await sts.close()
  await Promise.all([apply('waits', late), apply('deleted', late), apply('served')])
  // It wants what its node has already.
  expect(await identityOf(suite, team, 'served')).toEqual(team.identity)
  await waitFor('publishes to wait for STS', 60_000, async () =>
    (await failures(late)) > 0 ? true : undefined,
  )
  const inLate = ['--namespace', late.namespace]
  const gone = suite.kubectl(['delete', 'pod', 'deleted', '--timeout=120s', ...inLate])
  await plantLinks(suite, await uidOf(suite, late, 'waits'))
  await waitFor('refreshes to fail', 90_000, async () =>
    (await failures(team)) >= before + 2 ? true : undefined,
  )
  expect(await suite.kubectl(['get', 'pod', 'waits', ...inLate])).toContain(' 0/1 ')
  await sts.open()
  const shared: string[][] = []
  for (const app of apps) {
    const answers = await app.expectAskedWith(3)
    // One client asked all along, far more often than its credentials changed.
    expect(answers.length).toBeGreaterThan(20)
    shared.push([...new Set(answers.map(({ key = '' }) => key))].slice(0, 3))
  }
  // The pods of a ServiceAccount share each exchange.
  expect(shared[1]).toEqual(shared[0])
  expect(await identityOf(suite, late, 'waits')).toEqual(late.identity)
  await expectReplaced(suite, await uidOf(suite, late, 'waits'))
  await gone
}, 500_000)
