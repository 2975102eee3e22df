import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { NocredsError } from '../../shared/base/errors.ts'
import { createBodies, type Bodies } from '../../shared/server/budget/bodies.ts'
import {
  CLUSTER,
  podReview,
  recordedDeps,
  type Recorded,
} from '../../test/fakes/webhook-answers.ts'
import type { ClusterReader } from '../cluster/types.ts'
import { createAdmissionListener } from './admission-server.ts'

let server: Server | undefined

afterEach(async () => {
  const open = server
  server = undefined
  if (open === undefined) return
  open.closeAllConnections()
  await new Promise((resolve) => open.close(resolve))
})

const MIB = 1024 * 1024

function bodies({ deps: { clock } }: Recorded): Bodies {
  const limits = { max: 32 * MIB, maxPerAddress: 32 * MIB }
  return createBodies(limits, { server: 'admission', clock, recordRefusal: () => undefined })
}

async function serve(recorded: Recorded = recordedDeps()): Promise<string> {
  server = createServer(createAdmissionListener(recorded.deps, bodies(recorded)))
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const JSON_TYPE = { 'content-type': 'application/json' }

interface Answer {
  readonly response?: {
    readonly uid: string
    readonly allowed: boolean
    readonly patch?: string
    readonly status?: { readonly code: number; readonly reason: string; readonly message: string }
  }
  readonly code?: string
  readonly message?: string
}

async function post(
  url: string,
  body: string | object,
  init: RequestInit = {},
): Promise<[number, Answer]> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = await fetch(url, { method: 'POST', headers: JSON_TYPE, body: text, ...init })
  return [answer.status, (await answer.json()) as Answer]
}

describe('a good review', () => {
  test('is answered with its uid and a JSON patch', async () => {
    const recorded = recordedDeps()
    const [status, answer] = await post(
      `${await serve(recorded)}/mutate/pods?timeout=5s`,
      podReview('u-7'),
    )
    expect(status).toBe(200)
    expect(answer.response).toMatchObject({ uid: 'u-7', allowed: true, patchType: 'JSONPatch' })
    const patch = JSON.parse(
      Buffer.from(answer.response?.patch ?? '', 'base64').toString(),
    ) as object[]
    expect(patch).toContainEqual(
      expect.objectContaining({ op: 'add', path: '/spec/initContainers' }),
    )
    expect(recorded.lines).toEqual([
      expect.objectContaining({
        msg: 'decided',
        namespace: 'team-a',
        name: 'app-',
        serviceAccount: 'app',
        decision: 'mutated',
        reason: 'injected',
      }),
    ])
    expect(await recorded.deps.metrics.registry.metrics()).toContain(
      'nocreds_admission_requests_total{resource="pods",result="mutated",reason="injected"} 1',
    )
  })

  test('of a Namespace gets its label', async () => {
    const namespace = {
      metadata: { name: 'n', annotations: { 'nocreds.dev/permitted-roles': '.+' } },
    }
    const review = podReview('u', {}, { kind: { kind: 'Namespace' }, name: 'n', object: namespace })
    const [, answer] = await post(`${await serve()}/mutate/namespaces`, review)
    expect(answer.response).toMatchObject({ allowed: true, patchType: 'JSONPatch' })
  })

  test('of a Namespace whose name is still to be generated, too', async () => {
    const annotations = { 'nocreds.dev/permitted-roles': '.+' }
    const namespace = { metadata: { generateName: 'team-', annotations } }
    const review = podReview('u', {}, { kind: { kind: 'Namespace' }, object: namespace })
    const recorded = recordedDeps()
    const [, answer] = await post(`${await serve(recorded)}/mutate/namespaces`, review)
    expect(answer.response).toMatchObject({ allowed: true, patchType: 'JSONPatch' })
    expect(recorded.lines).toContainEqual(
      expect.objectContaining({ resource: 'namespaces', name: 'team-', reason: 'label-added' }),
    )
  })

  test('1,000 at once are all answered, each with its own uid', async () => {
    const url = `${await serve()}/mutate/pods`
    const uids = Array.from({ length: 1000 }, (_, index) => `u-${index}`)
    const answers = await Promise.all(uids.map((uid) => post(url, podReview(uid))))
    expect(
      answers.map(([status, { response }]) => [status, response?.uid, response?.allowed]),
    ).toEqual(uids.map((uid) => [200, uid, true]))
  })
})

describe('bad input', () => {
  const review = podReview() as { request: object }
  const BAD: [string, string | object, number, string][] = [
    ['not JSON', '{', 400, 'ERR_NOT_JSON'],
    ['empty', '', 400, 'ERR_NOT_JSON'],
    ['null', 'null', 400, 'ERR_NOT_AN_ADMISSION_REVIEW'],
    ['a list', '[]', 400, 'ERR_NOT_AN_ADMISSION_REVIEW'],
    [
      'no request',
      { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' },
      400,
      'ERR_NOT_AN_ADMISSION_REVIEW',
    ],
    [
      'v1beta1',
      { ...review, apiVersion: 'admission.k8s.io/v1beta1' },
      400,
      'ERR_NOT_AN_ADMISSION_REVIEW',
    ],
    ['another kind', { ...review, kind: 'TokenReview' }, 400, 'ERR_NOT_AN_ADMISSION_REVIEW'],
    [
      'no uid',
      { ...review, request: { ...review.request, uid: '' } },
      400,
      'ERR_NOT_AN_ADMISSION_REVIEW',
    ],
    [
      'a Deployment',
      podReview('u', {}, { kind: { kind: 'Deployment' } }),
      400,
      'ERR_NOT_AN_ADMISSION_REVIEW',
    ],
    ['too large', ' '.repeat(8 * MIB + 1), 413, 'ERR_BODY_TOO_LARGE'],
  ]
  test.each(BAD)('%s', async (_name, body, status, code) => {
    const url = await serve()
    expect(await post(`${url}/mutate/pods`, body)).toEqual([
      status,
      { code, message: expect.any(String) },
    ])
    expect((await post(`${url}/mutate/pods`, podReview()))[0]).toBe(200)
  })

  test.each<[string, string, object]>([
    ['pods', 'pod', podReview('u-1', { metadata: { name: 'x'.repeat(9 * MIB) } })],
    [
      'pods',
      'pod',
      podReview('u-1', { metadata: { managedFields: Array.from({ length: 410_000 }, () => 0) } }),
    ],
    [
      'namespaces',
      'Namespace',
      podReview('u-1', { x: '<'.repeat(9 * MIB) }, { kind: { kind: 'Namespace' } }),
    ],
  ])('a review of %s that is too large is denied with its cause', async (path, what, large) => {
    const recorded = recordedDeps()
    const [status, answer] = await post(`${await serve(recorded)}/mutate/${path}`, large)
    expect(status).toBe(200)
    expect(answer.response).toMatchObject({
      uid: 'u-1',
      allowed: false,
      status: { code: 413, reason: 'RequestEntityTooLarge' },
    })
    expect(answer.response?.status?.message).toMatch(
      new RegExp(`^nocreds: the ${what} is too large: .* the maximum; .*\\(review-too-large\\)$`),
    )
    expect(recorded.lines).toContainEqual(
      expect.objectContaining({ decision: 'denied', reason: 'review-too-large', uid: 'u-1' }),
    )
  })

  test('a body without length that grows too large is cut off', async () => {
    const url = await serve()
    const chunk = new Uint8Array(512 * 1024)
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        sent += 1
        if (sent > 60) controller.close()
        else controller.enqueue(chunk)
      },
    })
    const init = { method: 'POST', headers: JSON_TYPE, body, duplex: 'half' } as RequestInit
    const outcome = await fetch(`${url}/mutate/pods`, init).then(
      (answer) => answer.status,
      () => 'connection closed',
    )
    expect([413, 'connection closed']).toContain(outcome)
  })

  test.each([
    ['/mutate/pods', 'GET', JSON_TYPE, 405],
    ['/mutate/jobs', 'POST', JSON_TYPE, 404],
    ['/constructor', 'POST', JSON_TYPE, 404],
    ['/mutate/pods', 'POST', { 'content-type': 'text/plain' }, 415],
    ['/mutate/pods', 'POST', { 'content-type': 'application/json; charset=utf-8' }, 200],
  ])('%s %s', async (path, method, headers, status) => {
    const url = await serve()
    const body = method === 'GET' ? null : JSON.stringify(podReview())
    const answer = await fetch(url + path, { method, headers, body })
    expect(answer.status).toBe(status)
  })

  test.each([
    ['object is a number', { object: 5 }],
    ['object is null', { object: null }],
    ['containers is text', { object: { metadata: {}, spec: { containers: 'x' } } }],
    ['a container without name', { object: { metadata: {}, spec: { containers: [{}] } } }],
    [
      'env is an object',
      { object: { metadata: {}, spec: { containers: [{ name: 'a', env: {} }] } } },
    ],
    [
      'annotations of numbers',
      { object: { metadata: { annotations: { a: 1 } }, spec: { containers: [] } } },
    ],
    ['no namespace', { namespace: undefined }],
  ])('a Pod that is none is denied: %s', async (_name, request) => {
    const [status, answer] = await post(`${await serve()}/mutate/pods`, podReview('u', {}, request))
    expect(status).toBe(200)
    expect(answer.response).toMatchObject({ allowed: false, status: { code: 403 } })
    expect(answer.response?.status?.message).toContain('(invalid-object)')
  })
})

describe('a review that is made to cost much', () => {
  test('a pod of so many containers that its patch would be a hundred times as long', async () => {
    const containers = Array.from({ length: 60_000 }, () => ({ name: 'a' }))
    const review = podReview(
      'u',
      {},
      { object: { metadata: {}, spec: { serviceAccountName: 'app', containers } } },
    )
    const [status, answer] = await post(`${await serve()}/mutate/pods`, review)
    expect(status).toBe(200)
    expect(answer.response).toMatchObject({ allowed: false, status: { code: 403 } })
    expect(answer.response?.status?.message).toContain('60000 containers; allowed: 500')
  })

  test('names of a mebibyte fill neither the log nor the answer', async () => {
    const name = 'x'.repeat(900_000)
    const recorded = recordedDeps()
    const spec = {
      serviceAccountName: 'app',
      containers: [{ name, volumeMounts: [{ name: 'nocreds-token', mountPath: '/x' }] }],
    }
    const review = podReview(name, {}, { object: { metadata: { name }, spec } })
    const [, answer] = await post(`${await serve(recorded)}/mutate/pods`, review)
    expect(answer.response).toMatchObject({ uid: name, allowed: false })
    expect(answer.response?.status?.message.length).toBeLessThan(11_000)
    expect(JSON.stringify(recorded.lines).length).toBeLessThan(10_000)
  })

  test('too many values', async () => {
    const [status, answer] = await post(
      `${await serve()}/mutate/pods`,
      `[${'{},'.repeat(900_000)}{}]`,
    )
    expect([status, answer.code]).toEqual([413, 'ERR_BODY_TOO_LARGE'])
  })

  test('more reviews waiting for the apiserver than fit into memory', async () => {
    const recorded = recordedDeps({ ...CLUSTER, namespace: () => new Promise(() => undefined) })
    const budget = { max: 200_000, maxPerAddress: 200_000 }
    const { clock } = recorded.deps
    const few = createBodies(budget, { server: 'admission', clock, recordRefusal: () => undefined })
    server = createServer(createAdmissionListener(recorded.deps, few))
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mutate/pods?timeout=1s`
    const labels = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, 'v']))
    const review = podReview('u', { labels })
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(url, review)))
    const codes = answers.map(([status, { code }]) => code ?? String(status)).sort()
    // About 60 KB each once they are parsed: three of them may wait, until their own deadline.
    expect(codes.filter((code) => code === '200')).toHaveLength(3)
    expect(codes.filter((code) => code === 'ERR_BODY_OVER_BUDGET')).toHaveLength(5)
    expect(few.charged).toBe(0)
  })
})

describe('errors', () => {
  const failing = (error: Error): ClusterReader => ({
    ...CLUSTER,
    serviceAccount: () => Promise.reject(error),
  })

  test('an unreachable apiserver is a denial that controllers retry', async () => {
    const error = new NocredsError('ERR_APISERVER_UNREACHABLE', 'the apiserver cannot be asked')
    const [, answer] = await post(
      `${await serve(recordedDeps(failing(error)))}/mutate/pods`,
      podReview(),
    )
    expect(answer.response).toMatchObject({
      allowed: false,
      status: { code: 503, reason: 'ServiceUnavailable' },
    })
  })

  test('an internal error denies that one review, and its text is not shown', async () => {
    const recorded = recordedDeps(failing(new TypeError('x is not a function')))
    const [, answer] = await post(`${await serve(recorded)}/mutate/pods`, podReview())
    expect(answer.response).toMatchObject({ allowed: false, status: { code: 500 } })
    expect(JSON.stringify(answer)).not.toContain('not a function')
    expect(recorded.lines).toContainEqual(expect.objectContaining({ error: 'x is not a function' }))
  })

  test('a late decision is denied before the apiserver times out', async () => {
    const stuck: ClusterReader = { ...CLUSTER, namespace: () => new Promise(() => undefined) }
    const [, answer] = await post(
      `${await serve(recordedDeps(stuck))}/mutate/pods?timeout=1s`,
      podReview(),
    )
    expect(answer.response).toMatchObject({ allowed: false, status: { code: 503 } })
    expect(answer.response?.status?.message).toContain('(deadline-exceeded)')
  })

  test('a denial for lack of permission is checked against the apiserver first', async () => {
    const asked: boolean[] = []
    const lagging: ClusterReader = {
      ...CLUSTER,
      namespace(name, options) {
        asked.push(options?.fresh === true)
        return options?.fresh === true
          ? CLUSTER.namespace(name)
          : Promise.resolve({ annotations: { 'nocreds.dev/permitted-roles': 'other' } })
      },
    }
    const [, answer] = await post(`${await serve(recordedDeps(lagging))}/mutate/pods`, podReview())
    expect(answer.response?.allowed).toBe(true)
    expect(asked).toEqual([false, true])
  })

  const WEB_IDENTITY = { 'nocreds.dev/delivery': 'web-identity' }
  test.each([
    ['delivery', WEB_IDENTITY, { 'nocreds.dev/permitted-deliveries': 'web-identity' }],
    [
      'session name',
      { 'nocreds.dev/session-name': '{pod}' },
      { 'nocreds.dev/permitted-session-names': '{pod}' },
    ],
    [
      'session tag',
      {
        'nocreds.dev/target-role-arn': 'arn:aws:iam::111122223333:role/app',
        'nocreds.dev/session-tags': 'team=a',
      },
      { 'nocreds.dev/permitted-session-tags': 'team=a' },
    ],
  ])('so is one for want of a %s', async (_, asked, permitting) => {
    const role = 'arn:aws:iam::111122223333:role/app'
    const lagging: ClusterReader = {
      ...CLUSTER,
      serviceAccount: () => ({ annotations: { 'nocreds.dev/role-arn': role, ...asked } }),
      namespace: (_name, options) => ({
        annotations: {
          'nocreds.dev/permitted-roles': role,
          ...(options?.fresh === true ? permitting : {}),
        },
      }),
    }
    const [, answer] = await post(`${await serve(recordedDeps(lagging))}/mutate/pods`, podReview())
    expect(answer.response?.allowed).toBe(true)
  })

  test('so is one for a name of a certificate', async () => {
    const names = 'nocreds.dev/permitted-dns-names'
    const lagging: ClusterReader = {
      ...CLUSTER,
      serviceAccount: () => ({
        annotations: {
          'nocreds.dev/certificate': 'true',
          'nocreds.dev/certificate-dns-names': 'www.example.com',
        },
      }),
      namespace: (_, options) => ({
        annotations: { [names]: options?.fresh === true ? 'www[.]example[.]com' : '' },
      }),
    }
    const [, answer] = await post(`${await serve(recordedDeps(lagging))}/mutate/pods`, podReview())
    expect(answer.response?.allowed).toBe(true)
  })
})
