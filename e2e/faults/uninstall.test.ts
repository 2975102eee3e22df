/**
 * nocreds is taken away, its objects in several orders. At each step pods of namespaces that are not enabled are
 * created, and after the last one those of all; and while it is there, an administrator is locked out of nothing.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { PERMITTED_ROLES } from '../../contract/names.ts'
import { CLUSTER, INSTALL } from '../cluster/names.ts'
import { apiserverOf, type Apiserver } from '../support/apiserver.ts'
import { authoritySettled } from '../support/certificates.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import { restartApiserver } from '../support/node.ts'
import { admissionIsBack } from '../support/pod-stream.ts'
import { closeSuite, createTeam, openSuite, podSpec } from '../support/suite.ts'
import type { Suite, Team } from '../support/suite.ts'
import { tryNamespace, tryPod } from '../support/tried.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

const PART = ['--selector', 'app.kubernetes.io/part-of=nocreds']
const SYSTEM = ['--namespace', 'nocreds-system']

type Piece = 'settings' | 'rights' | 'bindings' | 'policies' | 'namespace' | 'webhook' | 'rest'

/** What an administrator deletes at a time: arguments of kubectl delete. */
const PIECES: Readonly<Record<Piece, readonly string[]>> = {
  settings: ['configmap', 'nocreds-settings', ...SYSTEM],
  rights: ['clusterroles,clusterrolebindings', ...PART],
  bindings: [
    'validatingadmissionpolicybindings',
    '--selector=app.kubernetes.io/name=nocreds-guard',
  ],
  policies: ['validatingadmissionpolicies', ...policyNames()],
  namespace: ['namespace', 'nocreds-system', '--timeout=120s'],
  webhook: ['mutatingwebhookconfiguration', 'nocreds'],
  /** Whatever is left. */
  rest: ['-f', INSTALL, '--timeout=180s'],
}

const ORDERS: readonly (readonly Piece[])[] = [
  ['settings', 'rights', 'namespace', 'bindings', 'policies', 'rest'],
  ['namespace', 'policies', 'rights', 'bindings', 'webhook', 'rest'],
]

function policyNames(): string[] {
  const all = parseAllDocuments(readFileSync(INSTALL, 'utf8'))
  return all.flatMap((one) => {
    const { kind, metadata } = one.toJS() as { kind: string; metadata: { name: string } }
    return kind === 'ValidatingAdmissionPolicy' ? [metadata.name] : []
  })
}

let suite: Suite
let api: Apiserver
let webhook: Webhook
let plain: string

beforeAll(async () => {
  suite = await openSuite('uninstall')
  api = await apiserverOf(suite.kubectl)
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  plain = `${suite.prefix}-plain`
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: plain } })
}, 300_000)

afterAll(async () => {
  await installedAgain()
  await closeSuite(suite)
}, 300_000)

async function installedAgain(): Promise<void> {
  await suite.kubectl(['apply', '-f', INSTALL])
  await authoritySettled(suite)
  await webhook.settled()
}

const remove = (piece: Piece): Promise<string> =>
  suite.kubectl(['delete', '--ignore-not-found', ...PIECES[piece]])

/** What must work for every user who does not use nocreds. */
async function bystanders(): Promise<object> {
  return {
    plain: await tryPod(api, plain),
    default: await tryPod(api, 'default'),
    system: await tryPod(api, 'kube-system'),
    namespace: await tryNamespace(api, plain, { labels: { changed: 'yes' } }),
  }
}
const UNDISTURBED = {
  plain: 'admitted',
  default: 'admitted',
  system: 'admitted',
  namespace: 'changed',
}

async function bundleIn({ namespace }: Team): Promise<void> {
  const get = ['get', 'configmap', TRUST_BUNDLE.configMap, '--namespace', namespace]
  await waitFor(`the trust bundle of ${namespace}`, 60_000, () => suite.kubectl(get))
}

describe('an administrator', () => {
  test('may delete each object of nocreds', async () => {
    await suite.kubectl(['delete', '--dry-run=server', '-f', INSTALL])
  })

  test('deletes an enabled Namespace, with the trust bundle in it', async () => {
    const team = await createTeam(suite, 'leaves')
    await bundleIn(team)
    await suite.kubectl(['delete', 'namespace', team.namespace, '--timeout=60s'])
  })

  test('changes what a Namespace permits, and takes it away', async () => {
    const { namespace } = await createTeam(suite, 'changes')
    const change = (value: string | null): Promise<string> =>
      tryNamespace(api, namespace, { annotations: { [PERMITTED_ROLES]: value } })
    expect(await change('arn:aws:iam::111122223333:role/other')).toBe('changed')
    expect(await change(null)).toBe('changed')
  })

  test('takes its binding away, and then edits and deletes a trust bundle', async () => {
    const team = await createTeam(suite, 'edits')
    await bundleIn(team)
    await suite.kubectl(['delete', 'validatingadmissionpolicybinding', 'nocreds-trust-bundles'])
    try {
      const bundle = ['configmap', TRUST_BUNDLE.configMap, '--namespace', team.namespace]
      await waitFor('the guard to be gone', 20_000, () =>
        suite.kubectl(['label', ...bundle, '--overwrite', 'edited=yes']),
      )
      await suite.kubectl(['delete', ...bundle])
    } finally {
      await suite.kubectl(['apply', '-f', INSTALL])
    }
  })
})

test.each(ORDERS.map((order) => [order.join(', '), order] as const))(
  'without %s',
  async (_, order) => {
    const nth = ORDERS.indexOf(order)
    const team = await createTeam(suite, `team-${nth}`)
    await bundleIn(team)
    try {
      for (const piece of order) {
        await remove(piece)
        expect({ piece, ...(await bystanders()) }).toEqual({ piece, ...UNDISTURBED })
      }
      // The apiserver forgets bindings and webhook configuration a moment after they are gone.
      const last = await waitFor('pods of an enabled namespace', 20_000, async () => {
        const said = await tryPod(api, team.namespace, 'app')
        if (said !== 'admitted') throw new Error(said)
        return said
      })
      expect(last).toBe('admitted')
      const annotations = { [PERMITTED_ROLES]: null }
      expect(await tryNamespace(api, team.namespace, { annotations })).toBe('changed')
      await suite.kubectl(['delete', 'namespace', team.namespace, '--timeout=60s'])
    } finally {
      await installedAgain()
    }
    await admissionIsBack(api, await createTeam(suite, `again-${nth}`))
  },
  400_000,
)

/** Every object of any kind whose name says nocreds; those of the cluster's own name do not count. */
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
    await installedAgain()
  }
}, 600_000)

test('installed again and with the apiserver restarted, the guard follows the settings', async () => {
  const team = await createTeam(suite, 'restarted')
  const use = async (exchangerImage: string): Promise<void> => {
    const patch = JSON.stringify({ data: { exchangerImage } })
    const settings = ['configmap', 'nocreds-settings', ...SYSTEM]
    await suite.kubectl(['patch', ...settings, '--type=merge', '--patch', patch])
  }
  await restartApiserver(suite.host, suite.kubectl)
  await admissionIsBack(api, team)
  await use('another/exchanger:1')
  await waitFor('the guard to want another image', 20_000, async () =>
    (await tryPod(api, team.namespace, 'app')).includes('another/exchanger:1') ? true : undefined,
  )
  await use(IMAGES.exchanger)
  await admissionIsBack(api, team)
}, 300_000)
