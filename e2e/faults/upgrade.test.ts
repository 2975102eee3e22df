/**
 * The former version is upgraded by the commands of docs/operations.md, with pods of every kind being created throughout: what
 * either version admits is admitted, and pods of the former one continue.
 */
import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { EXCHANGER } from '../../contract/names.ts'
import { FORMER_INSTALL, provideFormer } from '../cluster/former.ts'
import { ARTIFACTS, INSTALL } from '../cluster/names.ts'
import { apiserverOf } from '../support/apiserver.ts'
import { filesOf } from '../support/certificates.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import { restartApiserver, restartKubelet, tokenDigest } from '../support/node.ts'
import { commandsOf } from '../support/pages.ts'
import { STREAMED, streamKindsDuring, type PodKind } from '../support/pod-kinds.ts'
import { admissionIsBack } from '../support/pod-stream.ts'
import { closeSuite, createTeam, openSuite, podSpec, whoAmI } from '../support/suite.ts'
import type { Suite, Team } from '../support/suite.ts'
import { tryPod } from '../support/tried.ts'
import { waitFor } from '../support/wait.ts'
import { FORMER, REPOSITORY } from '../versions.ts'

const PAGE = 'docs/operations.md'
/** Certificates of the former authority, so that they are renewed within the minute. */
const LEAF_SECONDS = 120
/** install.yaml as an operator edits it for the time of the upgrade. */
const EDITED = join(ARTIFACTS, 'install-upgrade.yaml')
/** Kinds whose pods really run, and keep running. */
const RUNNING = ['process', 'endpoint', 'both', 'web-identity'] as const

let suite: Suite
let webhook: Webhook
let team: Team
let web: Team
let kinds: Record<string, PodKind>
/** What the first commands of the page printed: who needs permitted-deliveries, and who needs something else. */
let listed: string
let others: string

beforeAll(async () => {
  suite = await openSuite('upgrade')
  const { kubectl, host } = suite
  webhook = webhookOf(kubectl)
  await provideFormer(host, {
    'nocreds-authority': [`--max-lifetime-seconds=${LEAF_SECONDS}`],
    'nocreds-webhook': ['--certificate-door=authority'], // a name of the former version
  })
  for (const command of await commandsOf(PAGE, 'Uninstall')) await runAsRead(command, INSTALL)
  await restartApiserver(host, kubectl) // as the page says
  await kubectl(['apply', '-f', FORMER_INSTALL])
  await webhook.settled()
  // The former webhook refuses an annotation that it does not know.
  const deliveries: string[] = []
  const annotations = { 'nocreds.dev/delivery': 'web-identity' }
  team = await createTeam(suite, 'team', { deliveries })
  web = await createTeam(suite, 'web', { deliveries, annotations })
  kinds = await createKinds()
  await admissionIsBack(await apiserverOf(kubectl), team)
  for (const kind of RUNNING) await start(kind)
}, 900_000)

afterAll(async () => {
  await suite.kubectl(['apply', '-f', INSTALL])
  await webhook.settled()
  const streamed = Object.entries(STREAMED).map(([key, value]) => `${key}=${value}`)
  const inSystem = ['--namespace', 'kube-system', '--wait=false']
  await suite.kubectl(['delete', 'pods', '--selector', streamed.join(), ...inSystem])
  await closeSuite(suite)
}, 300_000)

/** A command of the page, in the repository, on another file than its install.yaml. */
function runAsRead(command: string, file: string): Promise<string> {
  const edited = command.replaceAll('manifests/install.yaml', file)
  return suite.host.run('sh', ['-ec', edited], { cwd: REPOSITORY })
}

async function createKinds(): Promise<Record<string, PodKind>> {
  const { namespace, role } = team
  const plain = `${suite.prefix}-plain`
  const certificate = { 'nocreds.dev/certificate': 'true' }
  const certified = { name: 'certified', namespace, annotations: certificate }
  // It has no pod; the new version wants permissions for it.
  const names = { 'nocreds.dev/session-name': '{pod}', 'nocreds.dev/certificate-dns-names': 'web' }
  const named = { name: 'named', namespace, annotations: names }
  await suite.kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: plain } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: certified },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: named },
  )
  const app = { namespace, serviceAccountName: 'app' }
  return {
    process: { ...app, role },
    endpoint: { ...app, role, annotations: { 'nocreds.dev/delivery': 'endpoint' } },
    certified: { namespace, serviceAccountName: 'certified', hasCertificate: true },
    both: { ...app, role, annotations: certificate, hasCertificate: true },
    'opted-out': { ...app, annotations: { 'nocreds.dev/inject': 'false' } },
    'without-role': { namespace },
    'not-enabled': { namespace: plain },
    system: { namespace: 'kube-system' },
    'web-identity': { namespace: web.namespace, role: web.role, serviceAccountName: 'app' },
  }
}

function kindOf(name: string): PodKind {
  const kind = kinds[name]
  if (kind === undefined) throw new Error(`there is no kind ${name}`)
  return kind
}

/** A pod of a kind that runs, and is called like it. */
async function start(name: string): Promise<void> {
  const { namespace, serviceAccountName = 'default', annotations = {} } = kindOf(name)
  const app = { ...whoAmI(), command: ['sleep', '3600'] }
  const spec = { ...podSpec(app), serviceAccountName }
  const metadata = { name, namespace, annotations }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  const ready = ['--for=condition=Ready', '--timeout=120s', '--namespace', namespace]
  await suite.kubectl(['wait', `pod/${name}`, ...ready])
}

const inPod = (name: string, ...command: string[]): Promise<string> => {
  const exec = ['exec', name, '--namespace', kindOf(name).namespace, '--container', 'app', '--']
  return suite.kubectl([...exec, ...command])
}

/** What the operator changes in install.yaml: the image of the former version is admitted, too. */
async function edit(): Promise<void> {
  const manifest = await readFile(INSTALL, 'utf8')
  const setting = "exchangerImages: ''"
  if (manifest.split(setting).length !== 2) throw new Error(`${INSTALL} has no line ${setting}`)
  await writeFile(EDITED, manifest.replace(setting, `exchangerImages: ${FORMER.images.exchanger}`))
}

test('the upgrade, as the page says: no pod is refused that either version admits', async () => {
  const commands = await commandsOf(PAGE, 'Upgrade')
  const that = (says: string): string => {
    const found = commands.filter((command) => command.includes(says))
    if (found.length !== 1) throw new Error(`${PAGE}, Upgrade: ${found.length} commands: ${says}`)
    return found.join()
  }
  await edit()
  const api = await apiserverOf(suite.kubectl)
  const streamed = await streamKindsDuring(api, kinds, async () => {
    listed = await runAsRead(that('delivery=='), EDITED)
    others = await runAsRead(that('session-name'), EDITED)
    await runAsRead(that('rollout resume'), EDITED)
    await webhook.settled()
    await runAsRead(that('annotate').replaceAll('NAMESPACE', web.namespace), EDITED)
    await waitFor('web-identity to be permitted', 20_000, async () => {
      const said = await tryPod(api, web.namespace, 'app')
      if (said !== 'admitted') throw new Error(said)
      return said
    })
    await runAsRead(commands.at(-1) ?? '', INSTALL)
  })
  const { 'web-identity': ofWeb, ...ofAll } = streamed
  suite.host.progress.say(JSON.stringify(streamed))
  for (const [name, { denied, wrong }] of Object.entries(ofAll))
    expect({ name, denied, wrong }).toEqual({ name, denied: [], wrong: [] })
  for (const { admitted } of Object.values(ofAll)) expect(admitted).toBeGreaterThan(20)
  expect(ofWeb?.last).toBe('admitted')
  expect(ofWeb?.denied.filter((why) => !why.includes('web-identity'))).toEqual([])
}, 600_000)

test('its first commands list the namespaces that need something, and no other of this test', () => {
  const own = (text: string): string[] =>
    text.split('\n').filter((line) => line.startsWith(suite.prefix))
  expect(own(listed)).toEqual([web.namespace])
  expect(own(others)).toEqual([`${team.namespace} {pod}`, `${team.namespace} web`])
})

describe('a pod of the former version', () => {
  test.each(RUNNING)('%s: continues, and can be changed', async (name) => {
    const inNamespace = ['--namespace', kindOf(name).namespace]
    await suite.kubectl(['label', 'pod', name, 'changed=yes', ...inNamespace])
    const { identity } = name === 'web-identity' ? web : team
    const as = JSON.parse(await inPod(name, 'node', '/app/main.mjs')) as { arn: string }
    expect(as.arn.split('/')[1]).toBe(identity.arn.split('/')[1])
    const { status } = await suite.kubectl.get<{
      readonly status: Record<string, readonly { readonly restartCount: number }[] | undefined>
    }>(['pod', name, ...inNamespace])
    const all = [...(status['initContainerStatuses'] ?? []), ...(status['containerStatuses'] ?? [])]
    expect(all.map(({ restartCount }) => restartCount)).toEqual(all.map(() => 0))
  })

  test('no command runs in its exchanger', async () => {
    const exec = ['exec', 'process', '--namespace', team.namespace]
    await expect(
      suite.kubectl([...exec, '--container', EXCHANGER.container, '--', 'true']),
    ).rejects.toThrow(/nocreds-pod-exec/)
  })

  test('its sidecar has a certificate of the new authority, and tokens are renewed', async () => {
    const inTeam = { namespace: team.namespace, identity: '' }
    // The kubelet keeps tokens in memory only, so it asks for new ones, past the new guard.
    const before = await tokenDigest(suite, team.namespace, 'both')
    await restartKubelet(suite.host)
    await waitFor('a certificate of a longer lifetime', 120_000, async () => {
      const { certPem } = await filesOf(suite, inTeam, 'pod/both')
      const { validFromDate, validToDate } = new X509Certificate(certPem)
      const seconds = (validToDate.getTime() - validFromDate.getTime()) / 1000
      return seconds > LEAF_SECONDS * 2 ? true : undefined
    })
    await waitFor('a new token', 120_000, async () =>
      (await tokenDigest(suite, team.namespace, 'both')) === before ? undefined : true,
    )
  }, 300_000)

  test.each(RUNNING)('%s: can be deleted', async (name) => {
    const inNamespace = ['--namespace', kindOf(name).namespace, '--timeout=60s']
    await suite.kubectl(['delete', 'pod', name, ...inNamespace])
  })
})
