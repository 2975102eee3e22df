/** Credentials and token of a running pod are replaced, and the SDK in it does not notice. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { SIDECAR_DELIVERIES } from '../../contract/delivery.ts'
import { startForever, type ForeverApp } from '../support/forever-app.ts'
import { restartKubelet, tokenDigest } from '../support/node.ts'
import { startShortLivedSts } from '../support/short-lived-sts.ts'
import { closeSuite, createTeam, openSuite } from '../support/suite.ts'
import type { Suite, Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

/** Half of it, 20 s, is long for an exchange on a busy machine, and two refreshes come within a minute. */
const LIFETIME_SECONDS = 40

let suite: Suite
let team: Team
let sts: Awaited<ReturnType<typeof startShortLivedSts>>
let apps: readonly ForeverApp[]

beforeAll(async () => {
  suite = await openSuite('refresh')
  team = await createTeam(suite, 'team')
  sts = await startShortLivedSts(suite, LIFETIME_SECONDS)
  const more = { hostAliases: sts.hostAliases }
  apps = await Promise.all(
    SIDECAR_DELIVERIES.map((delivery) =>
      startForever(suite, team, delivery, {
        annotations: { 'nocreds.dev/delivery': delivery },
        more,
      }),
    ),
  )
}, 120_000)

afterAll(() => closeSuite(suite))

test('the SDK continues over two refreshes', async () => {
  for (const app of apps) {
    // One client asked all along, far more often than its credentials changed.
    expect((await app.expectAskedWith(3)).length).toBeGreaterThan(20)
  }
}, 400_000)

test('the kubelet replaces the token: the next exchange presents the new one', async () => {
  const tokens = (): Promise<string[]> =>
    Promise.all(SIDECAR_DELIVERIES.map((pod) => tokenDigest(suite, team.namespace, pod)))
  const old = await tokens()
  expect(await sts.traded()).toEqual(expect.arrayContaining(old))
  // It keeps its tokens in memory only, and asks for new ones when it has none.
  await restartKubelet(suite.host)
  const renewed = await waitFor('new tokens', 120_000, async () => {
    const now = await tokens()
    return now.some((digest) => old.includes(digest)) ? undefined : now
  })
  await waitFor('the new tokens to be traded', 120_000, async () => {
    const seen = await sts.traded()
    return renewed.every((digest) => seen.includes(digest)) ? true : undefined
  })
  for (const app of apps) await app.expectAsked((await app.answers()).length + 4)
}, 600_000)
