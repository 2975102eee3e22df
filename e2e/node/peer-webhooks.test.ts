/**
 * A mutating webhook of somebody else that changes every container, that of nocreds included: called before or after `nocreds`,
 * called again or not. Each pod starts with credentials.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { EXCHANGER } from '../../contract/names.ts'
import { INSTALL } from '../cluster/names.ts'
import { webhookOf } from '../support/nocreds-webhook.ts'
import { onNode } from '../support/node.ts'
import { startPeerWebhook, type PeerAdditions, type PeerWebhook } from '../support/peer-webhook.ts'
import { closeSuite, createTeam, openSuite, podSpec } from '../support/suite.ts'
import { whoAmIThenStay, type Suite, type Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

/** Of each kind: 20 in all. */
const REPLICAS = 5
const MIRROR = 'mirror.example/'
const CHANGED: NonNullable<PeerAdditions['toAll']> = {
  env: { name: 'CORP_SITE', value: 'muc' },
  volume: { name: 'corp' },
  mountPath: '/opt/corp',
  imagePrefix: MIRROR,
  securityContext: { privileged: false, runAsGroup: 3000, seLinuxOptions: { level: 's0' } },
}
const KINDS = [
  { kind: 'before', configuration: 'aa', reinvocationPolicy: 'Never' },
  { kind: 'before-again', configuration: 'aa', reinvocationPolicy: 'IfNeeded' },
  { kind: 'after', configuration: 'zz', reinvocationPolicy: 'Never' },
  { kind: 'after-again', configuration: 'zz', reinvocationPolicy: 'IfNeeded' },
] as const

let suite: Suite
let peer: PeerWebhook
let teams: Readonly<Record<string, Team>>

beforeAll(async () => {
  suite = await openSuite('peers')
  const webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  // As an operator with a mirror does.
  await webhook.configure({ exchangerImages: `${MIRROR}${IMAGES.exchanger}` })
  for (const image of [IMAGES.exchanger, IMAGES.appJavascript]) {
    const tag = ['images', 'tag', '--force', `docker.io/${image}`, `${MIRROR}${image}`]
    await onNode(suite.host, 'ctr', '--namespace', 'k8s.io', ...tag)
  }
  peer = await startPeerWebhook(suite.kubectl, `${suite.prefix}-peer`, { toAll: CHANGED })
  const made = KINDS.map(async ({ kind, configuration, reinvocationPolicy }) => {
    const team = await createTeam(suite, kind)
    const name = `${configuration}-${suite.prefix}-${kind}`
    await peer.register(name, team.namespace, reinvocationPolicy)
    return [kind, team] as const
  })
  teams = Object.fromEntries(await Promise.all(made))
  await Promise.all(KINDS.map(({ kind }) => isCalled(kind)))
}, 300_000)

afterAll(async () => {
  await peer.remove()
  await suite.kubectl(['apply', '-f', INSTALL])
  await webhookOf(suite.kubectl).restart()
  await closeSuite(suite)
}, 300_000)

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly spec: {
      readonly containers: readonly { readonly env: readonly { readonly name: string }[] }[]
      readonly initContainers: readonly { readonly name: string }[]
    }
  }[]
}

const inTeam = (kind: string): string[] => ['--namespace', teams[kind]?.namespace ?? '']

/** A configuration that was written a moment ago is not called yet. */
async function isCalled(kind: string): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'asks' },
    spec: podSpec(whoAmIThenStay()),
  }
  const create = ['create', '--dry-run=server', '--output', 'json', '-f', '-', ...inTeam(kind)]
  await waitFor(`the other webhook to be called ${kind} nocreds`, 60_000, async () => {
    const answer = await suite.kubectl(create, JSON.stringify(pod))
    return answer.includes(CHANGED.env.name) ? true : undefined
  })
}

test.each(KINDS)('a webhook that is called $kind: each pod has credentials', async ({ kind }) => {
  const labels = { app: 'app' }
  const template = { metadata: { labels }, spec: podSpec(whoAmIThenStay()) }
  const spec = { replicas: REPLICAS, selector: { matchLabels: labels }, template }
  const metadata = { name: 'app', namespace: teams[kind]?.namespace }
  await suite.kubectl.apply({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec })
  await suite.kubectl([
    ...['rollout', 'status', 'deployment/app', '--timeout=120s'],
    ...inTeam(kind),
  ])
  const { items } = await suite.kubectl.get<Pods>(['pods', '--selector=app=app', ...inTeam(kind)])
  expect(items).toHaveLength(REPLICAS)
  for (const { metadata: pod, spec: found } of items) {
    const said = await waitFor(`who ${pod.name} is`, 60_000, async () => {
      const log = await suite.kubectl(['logs', pod.name, '--container', 'app', ...inTeam(kind)])
      return log === '' ? undefined : (JSON.parse(log) as unknown)
    })
    expect(said).toEqual(teams[kind]?.identity)
    // The other webhook was really there.
    expect(found.containers[0]?.env.map((one) => one.name)).toContain(CHANGED.env.name)
    expect(found.initContainers.map((one) => one.name)).toEqual([EXCHANGER.container])
  }
})
