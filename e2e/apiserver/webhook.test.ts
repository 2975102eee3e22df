/** The webhook behind a real apiserver: what it is asked, in which order, and what comes of its answers. */
import { createServer, type Server } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { EXCHANGER, INJECTED_ROLE } from '../../contract/names.ts'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { realClock, sleep } from '../../platform/clock.ts'
import { listen } from '../../platform/server.ts'
import { throwawayCertificate } from '../../testbed/throwaway-certificate.ts'
import { waitFor } from '../support/wait.ts'
import { openHarness, type Harness } from './harness.ts'
import { create, createPod, createTeam, pod, ROLE, type Pod } from './objects.ts'

const LABEL = 'nocreds.dev/injection'
const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'

let harness: Harness

beforeAll(async () => {
  harness = await openHarness()
  await createTeam(harness.api, 'team')
}, 60_000)

afterAll(() => harness.stop(), 60_000)

const exchangersOf = ({ spec }: Pod): string[] =>
  (spec.initContainers ?? []).map(({ name }) => name)

function labelOf(namespace: unknown): string | undefined {
  const { metadata } = namespace as {
    readonly metadata: { readonly labels?: Readonly<Record<string, string>> }
  }
  return metadata.labels?.[LABEL]
}

test('a pod whose ServiceAccount names a permitted role is injected, and the guard admits it', async () => {
  const { status, message, body } = await createPod(harness.api, 'team', pod('app'))
  expect({ status, message }).toEqual({ status: 201, message: '' })
  const { metadata } = body as Pod
  expect(exchangersOf(body as Pod)).toEqual([EXCHANGER.container])
  expect(metadata.annotations?.[INJECTED_ROLE]).toBe(ROLE)
})

test('a pod without a role is left as it is', async () => {
  const { status, body } = await createPod(harness.api, 'team', pod('default'))
  expect(status).toBe(201)
  expect(exchangersOf(body as Pod)).toEqual([])
})

test('a pod with a role that the namespace does not permit is denied by the webhook', async () => {
  const other = 'arn:aws:iam::111122223333:role/other'
  const asked = pod('default', { 'nocreds.dev/role-arn': other })
  const { status, message } = await createPod(harness.api, 'team', asked)
  expect(status).toBe(403)
  expect(message).toContain('admission webhook "pods.nocreds.dev" denied the request')
  expect(message).toContain(other)
})

test('the label follows the annotation of a Namespace', async () => {
  const labelAfter = async (permitted: string | null): Promise<string | undefined> => {
    const { status, body } = await harness.api({
      method: 'PATCH',
      path: '/api/v1/namespaces/label',
      body: { metadata: { annotations: { 'nocreds.dev/permitted-roles': permitted } } },
      contentType: 'application/merge-patch+json',
    })
    expect(status).toBe(200)
    return labelOf(body)
  }
  const metadata = { name: 'label' }
  await create(harness.api, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata })
  expect(await labelAfter(ROLE)).toBe('enabled')
  expect(await labelAfter(null)).toBeUndefined()
})

test('a Namespace that was annotated while the webhook was not asked has its label once it is there', async () => {
  const path = '/api/v1/namespaces/older'
  const metadata = { name: 'older', annotations: { 'nocreds.dev/permitted-roles': ROLE } }
  // As before the installation: nobody asks the webhook about Namespaces.
  const configuration = await harness.api({ method: 'GET', path: `${CONFIGURATIONS}/nocreds` })
  await harness.api({ method: 'DELETE', path: `${CONFIGURATIONS}/nocreds` })
  await sleep(realClock, 2000)
  await create(harness.api, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata })
  const { body } = await harness.api({ method: 'GET', path })
  expect(labelOf(body)).toBeUndefined()
  await waitFor('the label', 30_000, async () => {
    const { body: now } = await harness.api({ method: 'GET', path })
    return labelOf(now) === 'enabled' ? true : undefined
  })
  const { metadata: former, ...rest } = configuration.body as {
    readonly metadata: { readonly labels: object }
  }
  await create(harness.api, CONFIGURATIONS, {
    ...rest,
    metadata: { name: 'nocreds', labels: former.labels },
  })
  await harness.nocreds.restart('nocreds-webhook')
}, 90_000)

test('a pod that is injected already passes once more, unchanged', async () => {
  const { body } = await createPod(harness.api, 'team', pod('app'))
  const { metadata, spec } = body as Pod
  const { annotations } = metadata
  const copy = { ...pod('app'), spec, metadata: { generateName: 'copy-', annotations } }
  const again = await createPod(harness.api, 'team', copy)
  expect({ status: again.status, message: again.message }).toEqual({ status: 201, message: '' })
  expect((again.body as Pod).spec).toEqual(spec)
})

/** A mutating webhook of somebody else, which adds a container at the end; `seen`: of each pod the init containers. */
async function startOtherWebhook(
  seen: string[][],
): Promise<{ server: Server; caPem: string; port: number }> {
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  const value = { name: 'late', image: 'example/late:1' }
  const patch = Buffer.from(JSON.stringify([{ op: 'add', path: '/spec/containers/-', value }]))
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    void text(request).then((asked) => {
      const { uid, object } = (
        JSON.parse(asked) as { readonly request: { readonly uid: string; readonly object: Pod } }
      ).request
      seen.push(exchangersOf(object))
      const answer = { uid, allowed: true, patchType: 'JSONPatch', patch: patch.toString('base64') }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          response: answer,
        }),
      )
    })
  })
  return { server, caPem, port: await listen(server, 0, '127.0.0.1') }
}

test('second pass: a container that another webhook adds after ours has credentials, too', async () => {
  const seen: string[][] = []
  await createTeam(harness.api, 'second-pass')
  const { server, caPem, port } = await startOtherWebhook(seen)
  try {
    await create(harness.api, CONFIGURATIONS, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      // After `nocreds`: the apiserver calls them in the order of their names.
      metadata: { name: 'zz-late' },
      webhooks: [
        {
          name: 'late.webhook.example',
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: Buffer.from(caPem).toString('base64'),
          },
          rules: [
            { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] },
          ],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'second-pass' } },
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    })
    // A webhook that was made a moment ago is not called yet.
    const containers = await waitFor(
      'a pod with the container of the other webhook',
      30_000,
      async () => {
        const { status, message, body } = await createPod(harness.api, 'second-pass', pod('app'))
        if (status !== 201) throw new Error(message)
        const { spec } = body as Pod
        return spec.containers.length === 2 ? spec.containers : undefined
      },
    )
    const [app, late] = containers.map(({ env = [] }) => env.map(({ name }) => name))
    expect(late).toEqual(app)
    expect(late).toContain('AWS_CONFIG_FILE')
    // It came after ours.
    expect(seen.at(-1)).toEqual([EXCHANGER.container])
  } finally {
    await harness.api({ method: 'DELETE', path: `${CONFIGURATIONS}/zz-late` })
    server.closeAllConnections()
    server.close()
  }
}, 60_000)

test('the webhook restarts: it is reached again, by the certificate that its Secret holds', async () => {
  const caBundle = async (): Promise<unknown> =>
    (await harness.api({ method: 'GET', path: `${CONFIGURATIONS}/nocreds` })).body
  const before = await caBundle()
  await harness.nocreds.restart('nocreds-webhook')
  expect((await createPod(harness.api, 'team', pod('app'))).status).toBe(201)
  expect(await caBundle()).toEqual(before)
}, 60_000)

test('the authority writes the trust bundle into an enabled namespace', async () => {
  const path = `/api/v1/namespaces/team/configmaps/${TRUST_BUNDLE.configMap}`
  const data = await waitFor('the trust bundle', 30_000, async () => {
    const { status, body } = await harness.api({ method: 'GET', path })
    return status === 200
      ? (body as { readonly data: Readonly<Record<string, string>> }).data
      : undefined
  })
  expect(data[TRUST_BUNDLE.key]).toContain('BEGIN CERTIFICATE')
})
