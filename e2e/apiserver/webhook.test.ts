/** The webhook behind a real apiserver: what it is asked, in which order, and what comes of its answers. */
import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { TRUST_BUNDLE } from '../../contract/certificates.ts'
import { EXCHANGER, INJECTED_ROLE } from '../../contract/names.ts'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { listen } from '../../shared/base/server.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
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

test('a Namespace that was annotated without the webhook gets its label once the webhook runs', async () => {
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

type Patch = (pod: Pod) => readonly object[]

/** A mutating webhook of somebody else, called after that of nocreds; `seen`: of each pod the init containers. */
interface OtherWebhook {
  readonly seen: string[][]
  stop(): Promise<void>
}

async function startOtherWebhook(
  target: string,
  patchOf: Patch,
  reinvocationPolicy: 'Never' | 'IfNeeded' = 'Never',
): Promise<OtherWebhook> {
  const seen: string[][] = []
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    void text(request).then((asked) => {
      const { uid, object } = (
        JSON.parse(asked) as { readonly request: { readonly uid: string; readonly object: Pod } }
      ).request
      seen.push(exchangersOf(object))
      const patch = Buffer.from(JSON.stringify(patchOf(object))).toString('base64')
      const answer = { uid, allowed: true, patchType: 'JSONPatch', patch }
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
  const url = `https://127.0.0.1:${await listen(server, 0, '127.0.0.1')}/`
  await create(harness.api, CONFIGURATIONS, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    // After `nocreds`: the apiserver calls them in the order of their names.
    metadata: { name: 'zz-late' },
    webhooks: [
      {
        name: 'late.webhook.example',
        clientConfig: { url, caBundle: Buffer.from(caPem).toString('base64') },
        rules: [
          { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] },
        ],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': target } },
        reinvocationPolicy,
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  })
  return {
    seen,
    async stop() {
      await harness.api({ method: 'DELETE', path: `${CONFIGURATIONS}/zz-late` })
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Creates pods until the other webhook was asked about one: one that was made a moment ago is not called yet. */
function createSeen(
  namespace: string,
  { seen }: OtherWebhook,
): Promise<Awaited<ReturnType<typeof createPod>>> {
  return waitFor('a pod that the other webhook saw', 30_000, async () => {
    const before = seen.length
    const answer = await createPod(harness.api, namespace, pod('app'))
    return seen.length > before ? answer : undefined
  })
}

test('second pass: a container that another webhook adds after the first call has credentials, too', async () => {
  await createTeam(harness.api, 'second-pass')
  const value = { name: 'late', image: 'example/late:1' }
  const add = { op: 'add', path: '/spec/containers/-', value }
  const other = await startOtherWebhook('second-pass', () => [add])
  try {
    const { status, message, body } = await createSeen('second-pass', other)
    expect({ status, message }).toEqual({ status: 201, message: '' })
    const names = (body as Pod).spec.containers.map(({ env = [] }) => env.map(({ name }) => name))
    const [app, late] = names
    expect(late).toEqual(app)
    expect(late).toContain('AWS_CONFIG_FILE')
    // It was called after the webhook of nocreds.
    expect(other.seen.at(-1)).toEqual([EXCHANGER.container])
  } finally {
    await other.stop()
  }
}, 60_000)

/** Gives each init container variables that it lacks. */
const withVariables =
  (...names: readonly string[]): Patch =>
  ({ spec }) =>
    (spec.initContainers ?? []).flatMap(({ env = [] }, at) =>
      names
        .filter((name) => !env.some((one) => one.name === name))
        .map((name) => ({
          op: 'add',
          path: `/spec/initContainers/${at}/env/-`,
          value: { name, value: '/x' },
        })),
    )

/** Variables of the sidecar that nocreds did not write. */
const foreignOf = (body: unknown): string[] =>
  ((body as Pod).spec.initContainers ?? [])
    .flatMap(({ env = [] }) => env.map(({ name }) => name))
    .filter((name) => !name.startsWith('NOCREDS_'))

test.each(['Never', 'IfNeeded'] as const)(
  'second pass: what another webhook adds to the sidecar stays if it is harmless (called again: %s)',
  async (reinvocationPolicy) => {
    const namespace = `harmless-${reinvocationPolicy.toLowerCase()}`
    await createTeam(harness.api, namespace)
    const patch = withVariables('CORP_SITE', 'HTTPS_PROXY')
    const other = await startOtherWebhook(namespace, patch, reinvocationPolicy)
    try {
      const { status, message, body } = await createSeen(namespace, other)
      expect({ status, message }).toEqual({ status: 201, message: '' })
      expect(foreignOf(body)).toEqual(['CORP_SITE', 'HTTPS_PROXY'])
    } finally {
      await other.stop()
    }
  },
  60_000,
)

test('second pass: what another webhook adds to the sidecar is removed if it reaches Node', async () => {
  await createTeam(harness.api, 'reaching')
  const patch = withVariables('NODE_OPTIONS', 'CORP_SITE', 'LD_PRELOAD')
  const other = await startOtherWebhook('reaching', patch)
  try {
    const { status, message, body } = await createSeen('reaching', other)
    expect({ status, message }).toEqual({ status: 201, message: '' })
    expect(foreignOf(body)).toEqual(['CORP_SITE'])
  } finally {
    await other.stop()
  }
}, 60_000)

test('what another webhook adds after our last call is refused by the guard, which says what to do', async () => {
  await createTeam(harness.api, 'last')
  const other = await startOtherWebhook('last', withVariables('NODE_OPTIONS'), 'IfNeeded')
  try {
    const { status, message } = await createSeen('last', other)
    expect(status).toBe(403)
    expect(message).toContain('container nocreds-exchanger has variable NODE_OPTIONS')
    expect(message).toContain('exclude container nocreds-exchanger in that webhook')
  } finally {
    await other.stop()
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
