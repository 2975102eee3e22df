/**
 * The settings are deleted, and the apiserver starts without them: the guard refuses what it cannot judge, in enabled
 * namespaces alone.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { INSTALL } from '../cluster/names.ts'
import { apiserverOf, type Apiserver } from '../support/apiserver.ts'
import { webhookOf } from '../support/nocreds-webhook.ts'
import { restartApiserver } from '../support/node.ts'
import { admissionIsBack } from '../support/pod-stream.ts'
import { closeSuite, createTeam, openSuite, type Suite, type Team } from '../support/suite.ts'
import { tryNamespace, tryPod } from '../support/tried.ts'
import { waitFor } from '../support/wait.ts'
import { REPOSITORY } from '../versions.ts'

const CLUSTER_WIDE = join(REPOSITORY, 'manifests', 'overlays', 'guard-cluster-wide')

let suite: Suite
let api: Apiserver
let team: Team
let plain: string

beforeAll(async () => {
  suite = await openSuite('settings')
  api = await apiserverOf(suite.kubectl)
  await webhookOf(suite.kubectl).settled()
  team = await createTeam(suite, 'team')
  await admissionIsBack(api, team)
  plain = `${suite.prefix}-plain`
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: plain } })
  // The widest guard that there is.
  await suite.kubectl(['apply', '-k', CLUSTER_WIDE])
  await suite.kubectl(['delete', 'configmap', 'nocreds-settings', '--namespace', 'nocreds-system'])
  await restartApiserver(suite.host, suite.kubectl)
}, 300_000)

afterAll(async () => {
  await suite.kubectl(['delete', '-f', join(CLUSTER_WIDE, 'sts-tokens.yaml')])
  await suite.kubectl(['apply', '-f', INSTALL])
  await admissionIsBack(api, team)
  await closeSuite(suite)
}, 300_000)

test('pods of namespaces that are not enabled are created, and those of kube-system', async () => {
  // At once, and over the first seconds, in which an apiserver reads policies and their parameters.
  for (let times = 0; times < 20; times += 1)
    for (const namespace of [plain, 'default', 'kube-system'])
      expect(`${namespace} ${await tryPod(api, namespace)}`).toBe(`${namespace} admitted`)
  expect(await tryNamespace(api, plain, { labels: { changed: 'yes' } })).toBe('changed')
})

test('a pod of an enabled namespace is refused, and the message says why', async () => {
  const said = await waitFor('the guard to look', 30_000, async () => {
    const now = await tryPod(api, team.namespace, 'app')
    return now.includes('nocreds-pods') ? now : undefined
  })
  // Kubernetes' own words; the page says what they mean.
  const why = 'no params found for policy binding'
  expect(said).toContain(`'nocreds-pods' denied request: failed to configure binding: ${why}`)
  expect(await readFile(join(REPOSITORY, 'docs/troubleshooting.md'), 'utf8')).toContain(why)
})
