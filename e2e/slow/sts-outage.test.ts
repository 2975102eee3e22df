/** STS is down for minutes. Only the pods here miss it, so the rest of the suite runs beside this file. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { startAsking } from '../support/asking-app.ts'
import { AWS_STS, ownSts, type OwnSts } from '../support/own-sts.ts'
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

let suite: Suite
let team: Team
let sts: OwnSts

beforeAll(async () => {
  suite = await openSuite('sts-outage')
  team = await createTeam(suite, 'team')
  sts = await ownSts(suite, AWS_STS)
}, 300_000)

afterAll(async () => {
  await sts.remove()
  await closeSuite(suite)
}, 60_000)

test('STS is down: running pods keep working, new ones start when it is back', async () => {
  const outageMs = Number(suite.host.env['NOCREDS_E2E_OUTAGE_SECONDS'] ?? 300) * 1000
  const { hostAliases } = sts
  const running = await startAsking(suite, team, 'running', { hostAliases })
  await sts.close()
  const untilMs = realClock.monotonic() + outageMs
  const inNamespace = ['--namespace', team.namespace]
  await suite.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'new', namespace: team.namespace },
    spec: { ...podSpec(whoAmIThenStay()), hostAliases },
  })
  await waitFor('the exchanger of the new pod to say that STS is down', 120_000, async () => {
    const log = await suite.kubectl(['logs', 'new', ...inNamespace, '-c', 'nocreds-exchanger'])
    return /ECONNREFUSED|EHOSTUNREACH|Timeout|NetworkError/.test(log) ? true : undefined
  })
  await sleep(realClock, Math.max(0, untilMs - realClock.monotonic()))
  const asked = await waitFor(
    'what the app said',
    60_000,
    async () => (await running.said()).length,
  )
  // On a busy machine it asks less often; it must have asked all the time.
  expect(asked).toBeGreaterThan(outageMs / 30_000)
  await running.expectUnnoticed(asked)
  await expect(
    suite.kubectl(['wait', 'pod/new', ...inNamespace, '--for=condition=Ready', '--timeout=1s']),
  ).rejects.toThrow('timed out')
  await sts.open()
  const seen = await waitFor('the new pod to start', 240_000, () => identityOf(suite, team, 'new'))
  expect(seen).toEqual(team.identity)
  await running.expectUnnoticed(asked + 1)
}, 900_000)
