/** Certificates that an attacker may not have: by a token made in advance (10), and for names of others (16). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { csrPem } from '../../testbed/csr.ts'
import {
  askAuthority,
  startAttackPod,
  type AttackPod,
  type CertificateAnswer,
} from '../support/attack-pod.ts'
import { expectAdmitted, expectStopped, podOf, send } from '../support/attack.ts'
import { closeGround, openGround, type Ground } from '../support/attackers.ts'
import { clusterSigner, type BoundPod, type TokenSigner } from '../support/forged-token.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

const WEBHOOK = 'pods.nocreds.dev'

let ground: Ground
let attacker: AttackPod
/** With the cluster's own key: the tokens that attack 10 made before nocreds refused to let them be made. */
let sign: TokenSigner
let running: BoundPod

beforeAll(async () => {
  ground = await openGround('certs')
  ;[attacker, sign] = await Promise.all([
    startAttackPod(ground, ground.ns('tobe')),
    clusterSigner(ground),
  ])
  running = await makePod('running', { schedulerName: undefined, containers: [stays('3600')] })
  await ready('running', 'condition=Ready')
}, 120_000)

afterAll(() => closeGround(ground))

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

const ask = async (token: string, dnsNames: readonly string[] = []): Promise<CertificateAnswer> =>
  askAuthority(attacker, token, { csr: csrPem({ dnsNames }), durationSeconds: 3600 })

describe('10: a token for the authority that was made in advance', () => {
  test('a token as kubelets get it has a certificate, else the refusals below would show nothing', async () => {
    expect(await ask(await sign(running))).toMatchObject({ status: 200 })
  })
  test.each<[string, number, number]>([
    ['of ten years', 315_360_000, 315_360_000],
    ['of two hours', 7200, 7200],
    ['of ten years, almost over', 315_360_000, 600],
  ])('refused: a token %s', async (_what, lifetimeSeconds, endsInSeconds) => {
    const answer = await ask(await sign(running, { lifetimeSeconds, endsInSeconds }))
    expect(answer).toMatchObject({ status: 401, message: expect.any(String) })
  })
  test('refused: of a pod that no node has', async () => {
    const keep = await makePod('keep', {})
    expect(await ask(await sign(keep))).toMatchObject({ status: 401 })
  })
  test('refused: of a pod that has run to its end', async () => {
    const ended = await makePod('ended', {
      schedulerName: undefined,
      restartPolicy: 'Never',
      containers: [stays('0')],
    })
    await ready('ended', 'jsonpath={.status.phase}=Succeeded')
    expect(await ask(await sign(ended))).toMatchObject({ status: 401 })
  })
})

describe('16: names of others', () => {
  const OTHERS = [
    ...[
      'kubernetes',
      'payments',
      'localhost',
      'nocreds-authority',
      'web',
      'db.localhost',
      'kubernetes.default',
    ],
    ...[
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
      'nocreds-authority.nocreds-system',
    ],
    ...[
      'nocreds-authority.nocreds-system.svc.cluster.local',
      'x.nocreds-authority.nocreds-system.svc',
    ],
    'web.team-b.svc',
  ]
  test.each(OTHERS)('refused by webhook and authority: %s', async (name) => {
    const body = podOf({}, { certificate: 'true', 'certificate-dns-names': name })
    const answer = await send(ground, { place: 'certs-only', resource: 'pods', body })
    expectStopped(answer, WEBHOOK, name)
    expect(await ask(await sign(running), [name])).toMatchObject({
      status: 403,
      code: 'name-not-permitted',
    })
  })
  test.each(['KUBERNETES', 'kubernetes.', '*.svc', ' web', 'web..x'])(
    'refused, spelled %j',
    async (name) => {
      const body = podOf({}, { certificate: 'true', 'certificate-dns-names': name })
      const { status } = await send(ground, { place: 'certs-only', resource: 'pods', body })
      expect(status).toBe(403)
      expect((await ask(await sign(running), [name])).status).not.toBe(200)
    },
  )
  test("refused: another pod's name of a StatefulSet", async () => {
    const own = (pod: string): string => `${pod}.db.${ground.ns('certs-only')}.svc`
    const token = await sign(running)
    expect(await ask(token, [own('other')])).toMatchObject({ code: 'name-not-permitted' })
    expect(await ask(token, [own('running')])).toMatchObject({ status: 200 })
  })
  test('issued: names of its own Services', async () => {
    const namespace = ground.ns('certs-only')
    const names = ['', '.svc', '.svc.cluster.local'].map((end) => `web.${namespace}${end}`)
    expect(await ask(await sign(running), names)).toMatchObject({ status: 200 })
    const body = podOf({}, { certificate: 'true', 'certificate-dns-names': names.join(', ') })
    expectAdmitted(await send(ground, { place: 'certs-only', resource: 'pods', body }))
  })
})

test('a volume by hand, by which the kubelet asks for the name of another: denied by the authority', async () => {
  const podCertificate = {
    signerName: 'nocreds.dev/workload',
    keyType: 'ECDSAP256',
    credentialBundlePath: 'all',
    userAnnotations: { 'nocreds.dev/certificate-dns-names': 'payments' },
  }
  const volumes = [{ name: 'mine', projected: { sources: [{ podCertificate }] } }]
  const volumeMounts = [{ name: 'mine', mountPath: '/mine' }]
  await makePod('by-hand', {
    schedulerName: undefined,
    volumes,
    containers: [{ ...stays('3600'), volumeMounts }],
  })
  const denied = await waitFor('the request to be denied', 60_000, async () => {
    const { items } = await ground.kubectl.get<{
      readonly items: readonly {
        readonly status?: { readonly conditions?: readonly Readonly<Record<string, string>>[] }
      }[]
    }>(['podcertificaterequests', ...inPlace()])
    return items.flatMap(({ status }) => status?.conditions ?? [])[0]
  })
  expect(denied).toMatchObject({ type: 'Denied', message: expect.stringContaining('payments') })
})
