/** What an operator does to nocreds as a whole, by the commands of the pages, too: applies it again, restarts it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { INSTALL } from '../cluster/names.ts'
import { apiserverOf } from '../support/apiserver.ts'
import { authoritySettled } from '../support/certificates.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import { commandsOf } from '../support/pages.ts'
import { streamPodsDuring } from '../support/pod-stream.ts'
import { closeSuite, createTeam, openSuite, type Suite } from '../support/suite.ts'
import { REPOSITORY } from '../versions.ts'

interface Installed {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly generation?: number
    readonly resourceVersion: string
  }
  readonly status?: unknown
}

let suite: Suite
let webhook: Webhook

beforeAll(async () => {
  suite = await openSuite('install')
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
}, 300_000)

afterAll(() => closeSuite(suite))

/** What tells one version of each installed object from the next; a status changes without one. */
async function versions(): Promise<string[]> {
  const { items } = await suite.kubectl.get<{ items: Installed[] }>(['-f', INSTALL])
  return items.map(({ kind, metadata, status }) => {
    const { name, uid, generation, resourceVersion } = metadata
    return `${kind} ${name} ${uid} ${status === undefined ? resourceVersion : (generation ?? '')}`
  })
}

/** kubectl always says this of a PodDisruptionBudget, whose selector it can only replace. */
const SAID_ALWAYS = ['webhook', 'authority'].map(
  (name) => `poddisruptionbudget.policy/nocreds-${name} configured`,
)

test('kubectl apply of install.yaml once more changes nothing', async () => {
  const before = await versions()
  const said = (await suite.kubectl(['apply', '-f', INSTALL])).split('\n')
  expect(said.filter((line) => !line.endsWith(' unchanged'))).toEqual(SAID_ALWAYS)
  expect(said).toHaveLength(before.length)
  expect(await versions()).toEqual(before)
})

/** What the commands of a page print, in the repository, with the install.yaml of the suite. */
async function run(page: string, heading: string): Promise<string> {
  const commands = (await commandsOf(page, heading)).join('\n')
  const edited = commands.replaceAll('manifests/install.yaml', INSTALL)
  return suite.host.run('sh', ['-ec', edited], { cwd: REPOSITORY })
}

test('the commands of "Apply" install nocreds, and say that the webhook is reached', async () => {
  expect((await run('docs/install.md', 'Apply')).trim().split('\n').at(-1)).toBe('enabled')
})

test('the commands of "Change a setting" restart both servers, and those of "Monitor" print their logs', async () => {
  const said = await run('docs/operations.md', 'Change a setting')
  expect(said.match(/ restarted$/gm)).toHaveLength(2)
  await webhook.settled()
  await authoritySettled(suite)
  expect(await run('docs/operations.md', 'Monitor')).toContain('"msg":')
}, 300_000)

test('kubectl rollout restart of the webhook drops no admission', async () => {
  const team = await createTeam(suite, 'restart')
  const before = await webhook.replicas()
  const streamed = await streamPodsDuring(await apiserverOf(suite.kubectl), team, () =>
    webhook.restart(),
  )
  const after = (await webhook.replicas()).map(({ metadata }) => metadata.uid)
  for (const { metadata } of before) expect(after).not.toContain(metadata.uid)
  expect(streamed).toEqual({
    created: expect.any(Number),
    failed: [],
    withoutCredentials: [],
  })
  expect(streamed.created).toBeGreaterThan(20)
}, 300_000)
