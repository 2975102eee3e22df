/**
 * Tokens that AWS or the authority accept, in the hands of a developer: by delivery web-identity (02), by kubectl
 * create token (10), where the expression matches the empty text (07); and sessions in the name of others (L8).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  changed,
  expectAdmitted,
  expectStopped,
  hideFromWebhook,
  injectedPod,
  podOf,
  send,
  type AttackPod,
} from '../support/attack.ts'
import {
  closeGround,
  DEV,
  grant,
  openGround,
  OWNER,
  UNSEEN,
  type Ground,
  type Place,
} from '../support/attackers.ts'
import { waitFor } from '../support/wait.ts'

const WEBHOOK = 'pods.nocreds.dev'
const MERGE = 'application/merge-patch+json'

let ground: Ground
let show: () => Promise<void>
let served: AttackPod

beforeAll(async () => {
  ground = await openGround('tokens')
  served = await injectedPod(ground, 'team-a', { 'role-arn': ground.role })
  show = await hideFromWebhook(ground)
}, 90_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

const createPod = (place: Place, body: object): ReturnType<typeof send> =>
  send(ground, { place, resource: 'pods', body })

/** What the administrator says of a Namespace, without our prefix; null takes it away. */
async function say(
  place: Place,
  annotations: Readonly<Record<string, string | null>>,
): Promise<{ status: number; message: string }> {
  const prefixed = Object.entries(annotations).map(([key, value]) => [`nocreds.dev/${key}`, value])
  const body = { metadata: { annotations: Object.fromEntries(prefixed) as object } }
  const path = `/api/v1/namespaces/${ground.ns(place)}`
  return ground.api({ method: 'PATCH', path, body, contentType: MERGE })
}

/** A pod with the raw token in its app, as the webhook wrote it before deliveries were permitted. */
function withRawToken(audience = 'sts.amazonaws.com'): Record<string, unknown> {
  const serviceAccountToken = { audience, path: 'token', expirationSeconds: 3600 }
  const volumeMounts = [
    { name: 'nocreds-token', mountPath: '/var/run/secrets/nocreds.dev/token', readOnly: true },
  ]
  return {
    containers: [{ name: 'app', image: 'example/app:1', volumeMounts }],
    volumes: [{ name: 'nocreds-token', projected: { sources: [{ serviceAccountToken }] } }],
  }
}

describe('02: the raw token by one annotation', () => {
  const ask = { delivery: 'web-identity' }
  const refusal = 'permitted-deliveries'

  test('refused by the webhook: the annotation on the pod', async () => {
    const body = podOf({}, { ...ask, 'role-arn': ground.role })
    expectStopped(await createPod('team-a', body), WEBHOOK, refusal)
  })
  test('refused by the webhook: on a ServiceAccount that the developer makes', async () => {
    const annotations = {
      'nocreds.dev/role-arn': ground.role,
      'nocreds.dev/delivery': 'web-identity',
    }
    const body = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'thief', annotations },
    }
    const made = { place: 'team-a', resource: 'serviceaccounts', body, isReal: true } as const
    expectAdmitted(await send(ground, made))
    const answer = await createPod('team-a', podOf({ serviceAccountName: 'thief' }))
    expectStopped(answer, WEBHOOK, refusal)
  })
  test('refused by the guard: hand-made, with the mark', async () => {
    const body = podOf(withRawToken(), {
      ...ask,
      'injected-role': ground.role,
    })
    expectStopped(await createPod('unseen', body), 'nocreds-pods', 'web-identity')
  })
  test.each(['Web-Identity', ' web-identity', 'web-identity,process'])(
    'refused by the webhook: spelled %j',
    async (delivery) => {
      const body = podOf({}, { delivery, 'role-arn': ground.role })
      expectStopped(await createPod('team-a', body), WEBHOOK, 'nocreds.dev/delivery')
    },
  )
  test('refused: asked for when the pod is there already', async () => {
    const body = { ...served, metadata: { ...served.metadata, name: 'later' } }
    const resource = 'pods/later'
    expectAdmitted(await send(ground, { place: 'team-a', resource: 'pods', body, isReal: true }))
    const change = { metadata: { annotations: { 'nocreds.dev/delivery': 'web-identity' } } }
    for (const type of ['merge', 'strategic-merge'] as const) {
      const answer = await send(ground, { place: 'team-a', resource, type, body: change })
      expectStopped(answer, 'nocreds-pod-updates', 'nocreds.dev/delivery')
    }
    const applied = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'later', ...change.metadata },
    }
    const bySsa = await send(ground, { place: 'team-a', resource, type: 'apply', body: applied })
    expectStopped(bySsa, 'nocreds-pod-updates', 'nocreds.dev/delivery')
  })
  test('refused: the developer permits it', async () => {
    const body = {
      metadata: { annotations: { 'nocreds.dev/permitted-deliveries': 'web-identity' } },
    }
    const path = `/api/v1/namespaces/${ground.ns('team-a')}?dryRun=All`
    const answer = await ground.api({ method: 'PATCH', path, body, contentType: MERGE, as: DEV })
    expectStopped({ ...answer }, 'RBAC', 'cannot patch resource "namespaces"')
  })
  test('refused: an unknown delivery is not permitted either', async () => {
    const answer = await say('team-a', { 'permitted-deliveries': 'process,webidentity' })
    expectStopped({ ...answer, body: undefined }, 'namespaces.nocreds.dev', 'webidentity')
  })
  test('admitted by webhook and guard if the Namespace permits it; a permission can be taken back', async () => {
    for (const place of ['team-a', 'unseen'] as const)
      expect(await say(place, { 'permitted-deliveries': 'process, web-identity' })).toMatchObject({
        status: 200,
      })
    const byWebhook = podOf({}, { ...ask, 'role-arn': ground.role })
    await waitFor('the webhook to know', 15_000, async () =>
      (await createPod('team-a', byWebhook)).status === 201 ? true : undefined,
    )
    const byHand = podOf(withRawToken(), {
      ...ask,
      'injected-role': ground.role,
    })
    await waitFor('the guard to know', 15_000, async () =>
      (await createPod('unseen', byHand)).status === 201 ? true : undefined,
    )
    for (const place of ['team-a', 'unseen'] as const)
      expect(await say(place, { 'permitted-deliveries': null })).toMatchObject({ status: 200 })
    await waitFor('the permission to be gone', 15_000, async () => {
      const answers = [await createPod('team-a', byWebhook), await createPod('unseen', byHand)]
      return answers.every(({ status }) => status === 403) ? true : undefined
    })
  })
})

describe('07: an expression that matches the empty text', () => {
  test.each(['.*', '(a)?', 'a|', '(?i)', '(a|b*)', ' .* '])(
    'refused where it is written: %j',
    async (expression) => {
      for (const key of [
        'permitted-roles',
        'permitted-dns-names',
        'permitted-session-names',
        'permitted-session-tags',
      ]) {
        const answer = await say('tobe', { [key]: expression })
        expectStopped({ ...answer, body: undefined }, 'namespaces.nocreds.dev', key)
      }
    },
  )
  test('refused: it is longer than 4,096 characters', async () => {
    const answer = await say('tobe', { 'permitted-roles': 'a'.repeat(4097) })
    expectStopped({ ...answer, body: undefined }, 'namespaces.nocreds.dev', '4096')
  })
  test('refused: a token without a mark; a mark without a role', async () => {
    const unmarked = podOf(withRawToken(), {
      inject: 'false',
      delivery: 'web-identity',
    })
    expectStopped(await createPod('team-a', unmarked), WEBHOOK, 'nocreds-token')
    const empty = podOf(withRawToken(), {
      inject: 'false',
      'injected-role': '',
    })
    for (const body of [unmarked, empty])
      expect((await createPod('unseen', body)).message).toContain(
        "ValidatingAdmissionPolicy 'nocreds-",
      )
  })
})

describe('07: an expression that was there before such were refused', () => {
  const wild = (): string => `${ground.prefix}-wild`
  const create = (body: object): ReturnType<typeof ground.api> =>
    ground.api({
      method: 'POST',
      path: `/api/v1/namespaces/${wild()}/pods?dryRun=All`,
      body,
      as: DEV,
    })

  beforeAll(async () => {
    const leave = async (objectSelector: object): Promise<void> => {
      const patch = [{ op: 'replace', path: '/webhooks/1/objectSelector', value: objectSelector }]
      const configuration = ['mutatingwebhookconfiguration', 'nocreds', '--type=json', '-p']
      await ground.kubectl(['patch', ...configuration, JSON.stringify(patch)])
    }
    await leave({ matchExpressions: [{ key: UNSEEN, operator: 'NotIn', values: [wild()] }] })
    const labels = { [UNSEEN]: wild(), 'nocreds.dev/injection': 'enabled' }
    const annotations = { 'nocreds.dev/permitted-roles': '.*' }
    const metadata = { name: wild(), labels, annotations }
    try {
      await waitFor('the webhook to leave the Namespace alone', 15_000, async () => {
        await ground.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata })
        return true
      })
    } finally {
      await leave({})
    }
    await ground.kubectl.apply(
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'victim', namespace: wild() } },
      grant(wild(), DEV, { kind: 'ClusterRole', name: 'admin' }),
    )
  }, 30_000)

  test('admitted: a role, and a change of something else of the Namespace', async () => {
    expectAdmitted(await create(podOf({}, { 'role-arn': ground.role })))
    await ground.kubectl(['label', 'namespace', wild(), 'mine=x'])
  })
  test('refused: the token without a mark, or with an empty one', async () => {
    const marks = [{}, { 'injected-role': '' }]
    for (const mark of marks) {
      const body = podOf(withRawToken(), { ...mark, inject: 'false', delivery: 'web-identity' })
      expectStopped(await create(body), WEBHOOK, 'nocreds-token')
    }
  })
})

describe('10: kubectl create token', () => {
  /** Audiences that a developer tries, and in which Namespaces that is refused. */
  const tokenRequest = (audiences: readonly string[], more: object = {}): object => ({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences, ...more },
  })
  const ask = (place: Place, body: object, as = DEV): ReturnType<typeof send> =>
    send(ground, { place, as, resource: 'serviceaccounts/victim/token', body })
  const AUTHORITY = 'nocreds.dev/authority'
  const STS = 'sts.amazonaws.com'

  test.each<Place>(['tobe', 'team-a', 'unseen'])(
    'refused in %s: for the authority',
    async (place) => {
      const year = { expirationSeconds: 315_360_000 }
      for (const body of [
        tokenRequest([AUTHORITY], year),
        tokenRequest(['vault', AUTHORITY]),
        tokenRequest([AUTHORITY, AUTHORITY]),
      ])
        expectStopped(await ask(place, body), 'nocreds-authority-tokens', AUTHORITY)
    },
  )
  test.each<Place>(['team-a', 'certs-only'])('refused in %s: for STS', async (place) => {
    for (const body of [tokenRequest([STS]), tokenRequest(['vault', STS])])
      expectStopped(await ask(place, body), 'nocreds-token-requests', STS)
  })
  test('refused: as the ServiceAccount itself, as the owner, as a user with the name of a node', async () => {
    const itself = `system:serviceaccount:${ground.ns('team-a')}:victim`
    await ground.kubectl.apply(
      grant(
        ground.ns('team-a'),
        { user: itself, groups: [] },
        { kind: 'ClusterRole', name: 'admin' },
      ),
      grant(
        ground.ns('team-a'),
        { user: 'system:node:mine', groups: [] },
        { kind: 'ClusterRole', name: 'admin' },
      ),
    )
    const people = [
      { user: itself, groups: ['system:serviceaccounts', 'system:authenticated'] },
      OWNER,
      { user: 'system:node:mine', groups: ['system:authenticated'] },
    ]
    for (const as of people)
      expectStopped(
        await ask('team-a', tokenRequest([AUTHORITY]), as),
        'nocreds-authority-tokens',
        AUTHORITY,
      )
  })
  test('admitted: tokens of the apiserver and for others', async () => {
    for (const place of ['team-a', 'tobe'] as const)
      for (const body of [tokenRequest([]), tokenRequest(['vault'])])
        expectAdmitted(await ask(place, body))
  })
})

describe('a session in the name of another team (L8)', () => {
  const withRole = (name: string): AttackPod =>
    podOf({}, { 'role-arn': ground.role, 'session-name': name })
  test.each([
    'team-b.payroll',
    '{pod}',
    'x{namespace}',
    '{namespace}x',
    '{serviceaccount}.{namespace}',
  ])('refused: %s', async (name) => {
    expectStopped(await createPod('team-a', withRole(name)), WEBHOOK, 'permitted-session-names')
    const env = served.spec.initContainers?.[0]?.env ?? []
    const at = env.findIndex((one) => one.name === 'NOCREDS_SESSION_NAME')
    const path = `/spec/initContainers/0/env/${at}/value`
    const moved = JSON.parse(
      JSON.stringify(served).replaceAll(ground.ns('team-a'), ground.ns('unseen')),
    ) as AttackPod
    const body = changed(moved, [{ op: 'replace', path, value: name }])
    expectStopped(await createPod('unseen', body), 'nocreds-pods', 'permitted-session-names')
  })
  test.each(['{namespace}', '{namespace}.{serviceaccount}', '{namespace}.{pod}'])(
    'admitted: %s',
    async (name) => {
      expectAdmitted(await createPod('team-a', withRole(name)))
    },
  )
})
