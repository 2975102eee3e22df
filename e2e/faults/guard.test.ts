/**
 * An attacker with edit rights in a namespace asks for a token for STS in every way but the webhook's: while
 * the webhook runs, while it does not see the pods, and while no replica of it is there.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Operation } from 'rfc6902'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { apiserverOf, type ApiAnswer, type Apiserver } from '../support/apiserver.ts'
import { objectOf } from '../support/guard-cases.ts'
import type { KubernetesObject } from '../support/kubernetes-object.ts'
import { webhookOf } from '../support/nocreds-webhook.ts'
import { closeSuite, createTeam, openSuite, type Suite, type Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

const GOLDEN_ROLE = 'arn:aws:iam::111122223333:role/team-a/app'
const ATTACKER = { user: 'attacker', groups: ['system:authenticated'] }
const WEBHOOK = ['deployment/nocreds-webhook', '--namespace', 'nocreds-system']
const CONFIGURATION = ['mutatingwebhookconfiguration', 'nocreds']
/** How long a change of the webhook's configuration takes to reach admission, at most. */
const TAKES_EFFECT_MS = 2000

let suite: Suite
let team: Team
let api: Apiserver

beforeAll(async () => {
  suite = await openSuite('guard')
  team = await createTeam(suite, 'team')
  api = await apiserverOf(suite.kubectl)
  const rbac = { apiGroup: 'rbac.authorization.k8s.io' }
  await suite.kubectl.apply({
    apiVersion: `${rbac.apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'attacker', namespace: team.namespace },
    subjects: [{ ...rbac, kind: 'User', name: ATTACKER.user }],
    roleRef: { ...rbac, kind: 'ClusterRole', name: 'edit' },
  })
}, 60_000)

afterAll(() => closeSuite(suite))

/** A pod as the webhook writes it, with a role that the namespace permits, and the attacker's change. */
function injectedPod(...change: Operation[]): KubernetesObject {
  const pod = JSON.stringify(objectOf({ name: '', from: 'process', verdict: 'denied', change }))
  const edited = pod
    .replaceAll(GOLDEN_ROLE, team.role)
    .replaceAll('"team-a"', `"${team.namespace}"`)
  return JSON.parse(edited) as KubernetesObject
}

function podWithToken(audience: string): KubernetesObject {
  const serviceAccountToken = { audience, path: 'token', expirationSeconds: 3600 }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'case' },
    spec: {
      serviceAccountName: 'app',
      schedulerName: 'none',
      containers: [
        {
          name: 'app',
          image: 'example/app:1',
          volumeMounts: [{ name: 'mine', mountPath: '/mine' }],
        },
      ],
      volumes: [{ name: 'mine', projected: { sources: [{ serviceAccountToken }] } }],
    },
  }
}

/** Nothing is kept of a pod that is admitted. */
function createPod(pod: KubernetesObject): Promise<ApiAnswer> {
  const path = `/api/v1/namespaces/${team.namespace}/pods?dryRun=All`
  return api({ method: 'POST', path, body: pod, as: ATTACKER })
}

function createToken(audience: string): Promise<ApiAnswer> {
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: audience === '' ? [] : [audience] },
  }
  const path = `/api/v1/namespaces/${team.namespace}/serviceaccounts/app/token`
  return api({ method: 'POST', path, body, as: ATTACKER })
}

interface Attack {
  readonly what: string
  readonly send: () => Promise<ApiAnswer>
  /** Part of what the guard says. */
  readonly message: string
  /** The webhook does not refuse it: it writes its own part of the pod again. */
  readonly isPutBack?: true
}

const TOKEN_REQUEST: Attack = {
  what: 'kubectl create token --audience sts.amazonaws.com',
  send: () => createToken('sts.amazonaws.com'),
  message: 'a token for the audience sts.amazonaws.com is made by kubelets only',
}
const POD_ATTACKS: readonly Attack[] = [
  {
    what: 'hand-made pod with a token for STS',
    send: () => createPod(podWithToken('sts.amazonaws.com')),
    message: 'volume "mine" holds a token for the audience sts.amazonaws.com',
  },
  {
    what: 'token volume mounted into the app container',
    send: () => {
      const value = { name: 'nocreds-token', mountPath: '/token' }
      const path = '/spec/containers/0/volumeMounts/-'
      return createPod(injectedPod({ op: 'add', path, value }))
    },
    message: 'container "app" mounts the volume nocreds-token',
  },
  {
    what: 'another image named nocreds-exchanger',
    send: () => {
      const path = '/spec/initContainers/0/image'
      return createPod(injectedPod({ op: 'replace', path, value: 'example/thief:1' }))
    },
    message: 'container nocreds-exchanger has image example/thief:1',
    isPutBack: true,
  },
  {
    what: 'forged injected-role',
    send: () => {
      const value = 'arn:aws:iam::111122223333:role/admin'
      const path = '/metadata/annotations/nocreds.dev~1injected-role'
      return createPod(injectedPod({ op: 'replace', path, value }))
    },
    message: 'does not permit role arn:aws:iam::111122223333:role/admin',
    isPutBack: true,
  },
]

/** What the apiserver would store, without what differs from one creation to the next. */
function admittedPod({ status, message, body }: ApiAnswer): unknown {
  expect({ status, message }).toEqual({ status: 201, message: '' })
  const { metadata, spec } = body as KubernetesObject & { readonly spec: unknown }
  const { annotations, labels } = metadata as { annotations?: unknown; labels?: unknown }
  const stored = JSON.stringify({ annotations, labels, spec })
  return JSON.parse(stored.replaceAll(/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access'))
}

function refusedByGuard({ status, message }: ApiAnswer, part: string): void {
  expect({ status, message }).toEqual({ status: 403, message: expect.stringContaining(part) })
  expect(message).toContain('ValidatingAdmissionPolicy')
}

async function ordinaryTokensAreUntouched(): Promise<void> {
  for (const audience of ['', 'vault'])
    expect(await createToken(audience)).toMatchObject({ status: 201 })
}

describe('while the webhook runs', () => {
  test.each(POD_ATTACKS.filter(({ isPutBack }) => !isPutBack))('refused: $what', async (attack) => {
    const { status, message } = await attack.send()
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(message).toMatch(/nocreds/)
  })
  test.each(POD_ATTACKS.filter(({ isPutBack }) => isPutBack))('put back: $what', async (attack) => {
    const honest = admittedPod(await createPod(injectedPod()))
    expect(admittedPod(await attack.send())).toEqual(honest)
  })
  test(`refused: ${TOKEN_REQUEST.what}`, async () => {
    refusedByGuard(await TOKEN_REQUEST.send(), TOKEN_REQUEST.message)
  })
  test('ordinary tokens, and those for other audiences, are untouched', async () => {
    await ordinaryTokensAreUntouched()
    expect(await createPod(podWithToken('vault'))).toMatchObject({ status: 201 })
  })
})

describe('while the webhook does not see the pods: the guard alone', () => {
  const path = '/webhooks/0/namespaceSelector/matchExpressions'
  const patch = (value: unknown): Promise<string> => {
    const operation = JSON.stringify([{ op: 'replace', path, value }])
    return suite.kubectl(['patch', ...CONFIGURATION, '--type=json', '--patch', operation])
  }
  let before: unknown[] = []

  beforeAll(async () => {
    const { webhooks } = await suite.kubectl.get<{
      readonly webhooks: readonly [
        { readonly namespaceSelector: { readonly matchExpressions: unknown[] } },
      ]
    }>(CONFIGURATION)
    before = webhooks[0].namespaceSelector.matchExpressions
    const key = 'kubernetes.io/metadata.name'
    await patch([...before, { key, operator: 'NotIn', values: [team.namespace] }])
    await sleep(realClock, TAKES_EFFECT_MS)
  })
  afterAll(() => patch(before))

  test('a pod as the webhook would write it is admitted', async () => {
    expect(await createPod(injectedPod())).toMatchObject({ status: 201 })
  })
  test.each(POD_ATTACKS)('refused: $what', async ({ send, message }) => {
    refusedByGuard(await send(), message)
  })
  test('a token for another audience is untouched', async () => {
    expect(await createPod(podWithToken('vault'))).toMatchObject({ status: 201 })
  })
})

test('while the webhook is scaled to zero: nothing is admitted, ordinary tokens are untouched', async () => {
  const { kubectl } = suite
  const { spec } = await kubectl.get<{ readonly spec: { readonly replicas: number } }>(WEBHOOK)
  await kubectl(['scale', ...WEBHOOK, '--replicas=0'])
  try {
    await waitFor('the last replica of the webhook to end', 90_000, async () => {
      const { message } = await createPod(injectedPod())
      return message.includes('failed calling webhook "pods.nocreds.dev"') ? true : undefined
    })
    for (const { send } of POD_ATTACKS) {
      const { status, message } = await send()
      expect({ status, message }).toEqual({
        status: 500,
        message: expect.stringContaining('failed calling webhook "pods.nocreds.dev"'),
      })
    }
    refusedByGuard(await TOKEN_REQUEST.send(), TOKEN_REQUEST.message)
    await ordinaryTokensAreUntouched()
  } finally {
    await webhookOf(kubectl).scale(spec.replicas)
  }
}, 240_000)
