/** Certificates that an attacker may not have: by a token made in advance (10), and for names of others (16). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { csrPem } from '../../test/fakes/csr.ts'
import type { ApiAnswer } from '../support/apiserver.ts'
import {
  askAuthority,
  startAttackPod,
  type AttackPod,
  type CertificateAnswer,
} from '../support/attack-pod.ts'
import { expectAdmitted, expectStopped, hideFromWebhook, podOf, send } from '../support/attack.ts'
import { closeGround, openGround, type Ground, type Place } from '../support/attackers.ts'
import { clusterSigner, type BoundPod, type TokenSigner } from '../support/forged-token.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

const WEBHOOK = 'pods.nocreds.dev'

let ground: Ground
let attacker: AttackPod
let show: () => Promise<void>
/** With the cluster's own key: the tokens that attack 10 made before nocreds refused to let them be made. */
let sign: TokenSigner
let running: BoundPod

beforeAll(async () => {
  ground = await openGround('certs')
  ;[attacker, sign, show] = await Promise.all([
    startAttackPod(ground, ground.ns('tobe')),
    clusterSigner(ground),
    hideFromWebhook(ground),
  ])
  running = await makePod('running', { schedulerName: undefined, containers: [stays('3600')] })
  await ready('running', 'condition=Ready')
}, 120_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

const stays = (seconds: string): object => ({
  name: 'app',
  image: IMAGES.appJavascript,
  command: ['sleep', seconds],
})

const inPlace = (): string[] => ['--namespace', ground.ns('certs-only')]

const ready = (pod: string, condition: string): Promise<string> =>
  ground.kubectl(['wait', `--for=${condition}`, `pod/${pod}`, '--timeout=60s', ...inPlace()])

/** A pod of ServiceAccount app, and what a token says of it. */
async function makePod(name: string, spec: Readonly<Record<string, unknown>>): Promise<BoundPod> {
  const pod = podOf(
    { serviceAccountName: 'app', terminationGracePeriodSeconds: 1, ...spec },
    { certificate: 'false' },
  )
  const body = { ...pod, metadata: { ...pod.metadata, name } }
  const made = await send(ground, { place: 'certs-only', resource: 'pods', body, isReal: true })
  expectAdmitted(made)
  const { uid } = (made.body as { readonly metadata: { readonly uid: string } }).metadata
  const account = await ground.kubectl.get<{ readonly metadata: { readonly uid: string } }>([
    ...['serviceaccount', 'app', ...inPlace()],
  ])
  return { namespace: ground.ns('certs-only'), name, uid, serviceAccountUid: account.metadata.uid }
}

/** What the authority answers to a request for each list of names, by the same token. */
const ask = (
  token: string,
  ...lists: readonly (readonly string[])[]
): Promise<readonly CertificateAnswer[]> =>
  askAuthority(
    attacker,
    token,
    lists.map((dnsNames) => ({ csr: csrPem({ dnsNames }), durationSeconds: 3600 })),
  )

describe('10: a token for the authority that was made in advance', () => {
  test('a token as kubelets get it gets a certificate, else the refusals below would prove nothing', async () => {
    expect(await ask(await sign(running), [])).toMatchObject([{ status: 200 }])
  })
  test.each<[string, number, number]>([
    ['of ten years', 315_360_000, 315_360_000],
    ['of two hours', 7200, 7200],
    ['of ten years, almost expired', 315_360_000, 600],
  ])('refused: a token %s', async (_what, lifetimeSeconds, endsInSeconds) => {
    const [answer] = await ask(await sign(running, { lifetimeSeconds, endsInSeconds }), [])
    expect(answer).toMatchObject({ status: 401, code: 'token-lifetime-too-long' })
  })
  test('refused: of a pod that is not scheduled', async () => {
    const keep = await makePod('keep', {})
    const [answer] = await ask(await sign(keep), [])
    expect(answer).toMatchObject({ status: 403, code: 'pod-not-scheduled' })
  })
  test('refused: of a pod that has finished', async () => {
    const ended = await makePod('ended', {
      schedulerName: undefined,
      restartPolicy: 'Never',
      containers: [stays('0')],
    })
    await ready('ended', 'jsonpath={.status.phase}=Succeeded')
    const [answer] = await ask(await sign(ended), [])
    expect(answer).toMatchObject({ status: 403, code: 'pod-gone' })
  })
})

describe('16: names of others', () => {
  const own = (name: string): string => `${name}.${ground.ns('certs-only')}`
  const OTHERS = [
    ...['kubernetes', 'payments', 'localhost', 'nocreds-authority', 'web', 'db.localhost'],
    ...['kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
    ...['nocreds-authority.nocreds-system', 'nocreds-authority.nocreds-system.svc'],
    'nocreds-authority.nocreds-system.svc.cluster.local',
    ...['x.nocreds-authority.nocreds-system.svc', 'web.team-b.svc', 'www.example.com'],
  ]
  const SPELLED = ['KUBERNETES', 'kubernetes.', '*.svc', ' web', 'web..x']
  const answers = new Map<string, CertificateAnswer>()

  beforeAll(async () => {
    const names = [
      ...OTHERS,
      ...SPELLED,
      ...['other', 'running'].map((pod) => own(`${pod}.db`) + '.svc'),
    ]
    const given = await ask(await sign(running), ...names.map((name) => [name]))
    for (const [at, name] of names.entries()) answers.set(name, given[at]!)
  })
  const byWebhook = (names: string): ReturnType<typeof send> => {
    const body = podOf({}, { certificate: 'true', 'certificate-dns-names': names })
    return send(ground, { place: 'certs-only', resource: 'pods', body })
  }

  test.each(OTHERS)('refused by webhook and authority: %s', async (name) => {
    expectStopped(await byWebhook(name), WEBHOOK, name)
    expect(answers.get(name)).toMatchObject({ status: 403, code: 'name-not-permitted' })
  })
  test.each(SPELLED)('refused by both, spelled %j', async (name) => {
    expect(await byWebhook(name)).toMatchObject({ status: 403 })
    expect(answers.get(name)?.status).toBeGreaterThanOrEqual(400)
    expect(answers.get(name)?.status).toBeLessThan(500)
  })
  test("refused by the authority: another pod's name of a StatefulSet", () => {
    expect(answers.get(own('other.db') + '.svc')).toMatchObject({ code: 'name-not-permitted' })
    expect(answers.get(own('running.db') + '.svc')).toMatchObject({ status: 200 })
  })
  test('issued: names of its own Services', async () => {
    const names = ['', '.svc', '.svc.cluster.local'].map((end) => own('web') + end)
    expect(await ask(await sign(running), names)).toMatchObject([{ status: 200 }])
    expectAdmitted(await byWebhook(names.join(', ')))
  })
})

/** By a volume, the kubelet asks for the pod, and the authority sees what it asks for. */
const volumeOf = (name: string, dnsNames: string): object => {
  const podCertificate = {
    signerName: 'nocreds.dev/workload',
    keyType: 'ECDSAP256',
    maxExpirationSeconds: 3600,
    certificateChainPath: 'tls.crt',
    keyPath: 'tls.key',
    userAnnotations: { 'nocreds.dev/certificate-dns-names': dnsNames },
  }
  const configMap = { name: 'nocreds-trust-bundle', items: [{ key: 'ca.crt', path: 'ca.crt' }] }
  return { name, projected: { sources: [{ podCertificate }, { configMap }] } }
}

describe('16: names of others by the kubelet', () => {
  const byHand = (
    place: Place,
    name: string,
    volume: string,
    dnsNames: string,
  ): Promise<ApiAnswer> => {
    const mount = '/var/run/secrets/nocreds.dev/tls'
    const volumeMounts = [{ name: volume, mountPath: mount, readOnly: true }]
    const spec = {
      schedulerName: undefined,
      terminationGracePeriodSeconds: 1,
      containers: [{ ...stays('3600'), volumeMounts }],
      volumes: [volumeOf(volume, dnsNames)],
    }
    const pod = podOf(spec)
    const body = { ...pod, metadata: { ...pod.metadata, name } }
    return send(ground, { place, resource: 'pods', body, isReal: true })
  }

  test('refused by the guard: a volume of another name', async () => {
    expectStopped(
      await byHand('unseen', 'other', 'mine', 'web'),
      'nocreds-pods',
      'nocreds.dev/workload',
    )
  })
  test('refused by the webhook: a hand-made volume of nocreds on a pod that asks for nothing', async () => {
    expectStopped(
      await byHand('certs-only', 'none', 'nocreds-tls', 'payments'),
      WEBHOOK,
      'nocreds-tls',
    )
  })
  test('if only the guard sees the pod, which does not check names: denied by the authority', async () => {
    expectAdmitted(await byHand('unseen', 'by-hand', 'nocreds-tls', 'payments'))
    const denied = await waitFor('the request to be denied', 60_000, async () => {
      const { items } = await ground.kubectl.get<{
        readonly items: readonly {
          readonly status?: { readonly conditions?: readonly Readonly<Record<string, string>>[] }
        }[]
      }>(['podcertificaterequests', '--namespace', ground.ns('unseen')])
      return items.flatMap(({ status }) => status?.conditions ?? [])[0]
    })
    expect(denied).toMatchObject({ type: 'Denied', message: expect.stringContaining('payments') })
  })
})
