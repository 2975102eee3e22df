import { describe, expect, test } from '@jest/globals'
import type { Operation } from '../../shared/server/kube/kube-client.ts'
import { podReview, recordedDeps } from '../../test/fakes/webhook-answers.ts'
import { answerReview, type Resource } from './answer.ts'

interface Answer {
  readonly allowed: boolean
  readonly patch: readonly Operation[]
}

async function answerTo(review: object, resource: Resource = 'pods'): Promise<Answer> {
  const body = Buffer.from(JSON.stringify(review))
  const text = await answerReview({ body, resource, deadlineMs: 5000 }, recordedDeps().deps)
  const { response } = JSON.parse(text) as { response: { allowed: boolean; patch?: string } }
  const patch = Buffer.from(response.patch ?? '', 'base64').toString()
  return { allowed: response.allowed, patch: JSON.parse(patch || '[]') as Operation[] }
}

describe('a review means the same whether an optional key is absent or null', () => {
  const full = {
    metadata: { name: 'app', generateName: null, annotations: { 'example.com/a': 'b' } },
    spec: {
      serviceAccountName: 'app',
      hostNetwork: true,
      shareProcessNamespace: false,
      dnsPolicy: 'ClusterFirst',
      os: { name: 'linux' },
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      volumes: [{ name: 'v', csi: { driver: 'd' } }],
      initContainers: [{ name: 'init' }],
      containers: [
        {
          name: 'app',
          image: 'example/app:1',
          imagePullPolicy: 'Always',
          resources: { claims: [] },
          env: [{ name: 'A', value: 'b' }],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        },
      ],
      ephemeralContainers: [],
    },
  }
  const of = 'request.object'
  const container = `${of}.spec.containers.0`
  const PATHS = [
    ...['name', 'dryRun', 'oldObject'].map((key) => `request.${key}`),
    ...['name', 'generateName', 'annotations'].map((key) => `${of}.metadata.${key}`),
    ...['serviceAccountName', 'hostNetwork', 'shareProcessNamespace', 'os', 'nodeSelector'].map(
      (key) => `${of}.spec.${key}`,
    ),
    ...['volumes', 'initContainers', 'ephemeralContainers', 'dnsPolicy'].map(
      (key) => `${of}.spec.${key}`,
    ),
    ...['image', 'imagePullPolicy', 'resources', 'env', 'volumeMounts'].map(
      (key) => `${container}.${key}`,
    ),
    `${container}.resources.claims`,
    `${container}.env.0.value`,
    `${of}.spec.volumes.0.csi`,
    `${of}.spec.volumes.0.csi.driver`,
  ]

  /** The review with another value at the path; undefined takes the key away, as JSON has no such value. */
  function withValue(path: string, value: null | undefined, review: object): object {
    const copy = structuredClone(review)
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    let at = copy as Record<string, unknown>
    for (const key of keys) at = at[key] as Record<string, unknown>
    at[last] = value
    return copy
  }

  test.each(PATHS)('%s', async (path) => {
    const review = podReview('u-1', full, { name: 'app' })
    const answers = [undefined, null].map((value) => answerTo(withValue(path, value, review)))
    const [absent, isNull] = (await Promise.all(answers)).map(({ allowed, patch }) => ({
      allowed,
      // In any order, and what replaces null elsewhere is added.
      patch: patch.map((one) => JSON.stringify({ ...one, op: 'add' })).sort(),
    }))
    expect(isNull).toEqual(absent)
    expect(absent?.allowed).toBe(!path.endsWith('serviceAccountName')) // otherwise it is `default`, which does not exist
  })

  test.each(['object', 'oldObject'])('request.%s of another operation', async (key) => {
    for (const value of [null, undefined]) {
      const request = { operation: 'DELETE', oldObject: full, [key]: value }
      expect((await answerTo(podReview('u-1', full, request))).allowed).toBe(true)
    }
  })

  test.each([null, undefined])('request.oldObject of a Namespace: %s', async (oldObject) => {
    const annotations = { 'nocreds.dev/permitted-roles': '.+' }
    const object = { metadata: { name: 'n', annotations } }
    const review = podReview('u', {}, { kind: { kind: 'Namespace' }, object, oldObject })
    const { allowed, patch } = await answerTo(review, 'namespaces')
    expect([allowed, patch.length]).toEqual([true, 1])
  })
})
