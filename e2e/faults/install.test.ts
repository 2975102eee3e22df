/** What an operator does to nocreds as a whole: applies it anew, restarts it, removes it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { CLUSTER, INSTALL } from '../cluster/names.ts'
import { apiserverOf } from '../support/apiserver.ts'
import { authoritySettled } from '../support/certificates.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import { streamPodsDuring } from '../support/pod-stream.ts'
import { closeSuite, createTeam, openSuite, podSpec, type Suite } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

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

/** What tells one version of each installed object from the next; a status changes by itself. */
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

/** Every object of any kind whose name says nocreds; those of the cluster's own name are no part of it. */
async function leftovers(): Promise<string[]> {
  const kinds = await suite.kubectl(['api-resources', '--verbs=list', '--output', 'name'])
  const searched = kinds.split('\n').filter((kind) => !/^events(\.|$)/.test(kind))
  const all = await suite.kubectl([
    ...['get', searched.join(','), '--all-namespaces', '--ignore-not-found', '--output', 'name'],
  ])
  const names = all.split('\n').filter((name) => name.includes('nocreds'))
  return names.filter((name) => !name.includes(CLUSTER))
}

test('kubectl delete leaves nothing behind, and pods start as if it had never been there', async () => {
  const team = await createTeam(suite, 'after')
  // The search finds what is there.
  const bundle = `configmap/${TRUST_BUNDLE.configMap}`
  expect(await leftovers()).toEqual(
    expect.arrayContaining(['deployment.apps/nocreds-webhook', bundle]),
  )
  try {
    await suite.kubectl(['delete', '-f', INSTALL, '--timeout=180s'])
    // The trust bundles go with the role that owns them, by the cluster's garbage collection.
    await waitFor('nothing to be left', 90_000, async () => {
      const left = await leftovers()
      if (left.length > 0) throw new Error(left.join(', '))
      return true
    })
    const metadata = { name: 'app', namespace: team.namespace }
    const container = { name: 'app', image: 'example/app:1' }
    const spec = { ...podSpec(container), schedulerName: 'none' }
    await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
    const pod = await suite.kubectl.get<{ readonly spec: { readonly initContainers?: unknown } }>([
      ...['pod', 'app', '--namespace', team.namespace],
    ])
    expect(pod.spec.initContainers).toBeUndefined()
  } finally {
    await suite.kubectl(['apply', '-f', INSTALL])
    await authoritySettled(suite)
    await webhook.settled()
  }
}, 600_000)
