/**
 * The settings of webhook and guard are deleted, and the apiserver starts again, so that it remembers nothing. A
 * policy whose parameters are missing denies all that it is bound to: that must never be more than the enabled
 * namespaces.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { waitFor } from '../support/wait.ts'
import { openHarness, type Harness } from './harness.ts'
import { create, createPod, createTeam, pod } from './objects.ts'

const SETTINGS = '/api/v1/namespaces/nocreds-system/configmaps'

let harness: Harness
let settings: object

beforeAll(async () => {
  harness = await openHarness()
  const { api } = harness
  await createTeam(api, 'enabled')
  const metadata = { name: 'plain' }
  await create(api, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata })
  const { body } = await api({ method: 'GET', path: `${SETTINGS}/nocreds-settings` })
  const { data } = body as { readonly data: object }
  settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'nocreds-settings' }, data }
  const deleted = await api({ method: 'DELETE', path: `${SETTINGS}/nocreds-settings` })
  expect(deleted.status).toBe(200)
  await harness.restart()
}, 120_000)

afterAll(() => harness.stop(), 60_000)

/** The guard's policies are read by the apiserver after it is ready; until then they refuse nothing. */
function refusedPod(): Promise<string> {
  return waitFor('the guard to refuse a pod of an enabled namespace', 30_000, async () => {
    const { status, message } = await createPod(harness.api, 'enabled', pod('app'))
    return status === 201 ? undefined : message
  })
}

test('a pod of an enabled namespace is refused, and the message names what is missing', async () => {
  const message = await refusedPod()
  expect(message).toContain("ValidatingAdmissionPolicy 'nocreds-pods'")
  expect(message).toContain('no params found')
})

test.each(['plain', 'kube-system', 'default', 'nocreds-system'])(
  'a pod of %s, which is not enabled, is created',
  async (namespace) => {
    await refusedPod()
    const { status, message } = await createPod(harness.api, namespace, pod('default'))
    expect({ status, message }).toEqual({ status: 201, message: '' })
  },
)

test('in namespaces that are not enabled, pods are changed and deleted, and ServiceAccounts have tokens', async () => {
  const { api } = harness
  await refusedPod()
  const { body } = await createPod(api, 'plain', pod('default'))
  const { name } = (body as { readonly metadata: { readonly name: string } }).metadata
  const path = `/api/v1/namespaces/plain/pods/${name}`
  const contentType = 'application/merge-patch+json'
  const labels = { metadata: { labels: { changed: 'yes' } } }
  expect(await api({ method: 'PATCH', path, body: labels, contentType })).toMatchObject({
    status: 200,
  })
  const status = { status: { phase: 'Failed' } }
  expect(
    await api({ method: 'PATCH', path: `${path}/status`, body: status, contentType }),
  ).toMatchObject({ status: 200 })
  const token = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const serviceAccount = '/api/v1/namespaces/plain/serviceaccounts/default/token'
  expect(await api({ method: 'POST', path: serviceAccount, body: token })).toMatchObject({
    status: 201,
  })
  expect(await api({ method: 'DELETE', path: `${path}?gracePeriodSeconds=0` })).toMatchObject({
    status: 200,
  })
})

test('once the settings are there again, pods of enabled namespaces are created', async () => {
  await create(harness.api, SETTINGS, settings)
  await waitFor('a pod of an enabled namespace', 30_000, async () => {
    const { status, message } = await createPod(harness.api, 'enabled', pod('app'))
    if (status !== 201) throw new Error(message)
    return true
  })
})
