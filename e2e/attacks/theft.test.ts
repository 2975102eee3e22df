/**
 * An exchanger that is led to an impostor of the authority, by hostAliases (05, 19) or by the attacker's own name
 * server: it speaks to nobody whom the authority's own root does not vouch for, so its token is not sent.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { AUTHORITY } from '../../contract/certificates.ts'
import type { ApiAnswer } from '../support/apiserver.ts'
import { startImpostor, type AttackPod } from '../support/attack-pod.ts'
import { expectStopped, goldenPod, hideFromWebhook } from '../support/attack.ts'
import { closeGround, openGround, type Ground } from '../support/attackers.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

let ground: Ground
let show: () => Promise<void>
let impostor: AttackPod

beforeAll(async () => {
  ground = await openGround('theft')
  ;[show, impostor] = await Promise.all([
    hideFromWebhook(ground),
    startImpostor(ground, ground.ns('tobe')),
  ])
}, 120_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

/**
 * A pod with a certificate by the exchanger, as the webhook writes it where kubelets bring none; the guard, which
 * compares it, is what the attacker has to pass.
 */
async function start(name: string, spec: object): Promise<void> {
  const pod = await goldenPod(ground, 'certificate')
  const [app] = pod.spec['containers'] as object[]
  const containers = [{ ...app, image: IMAGES.appJavascript, command: ['sleep', '3600'] }]
  await ground.kubectl.apply({
    ...pod,
    metadata: { ...pod.metadata, name, namespace: ground.ns('unseen') },
    spec: {
      ...pod.spec,
      schedulerName: undefined,
      terminationGracePeriodSeconds: 1,
      containers,
      ...spec,
    },
  })
}

/** Its log, as soon as the kubelet gives it: a container that ended and is to start again has that of before. */
async function whyNot(pod: string): Promise<string | undefined> {
  const logs = ['logs', pod, '--namespace', ground.ns('unseen'), '-c', 'nocreds-exchanger']
  const log = await ground.kubectl(logs).catch(() => ground.kubectl([...logs, '--previous']))
  return log === '' ? undefined : log
}

test('a pod that is not led astray has its certificate, by the same exchanger', async () => {
  await start('honest', {})
  const wait = ['wait', '--for=condition=Ready', 'pod/honest', '--timeout=60s']
  await ground.kubectl([...wait, '--namespace', ground.ns('unseen')])
})

test('10: not even a kubelet makes a token for the authority that lives longer than an hour', async () => {
  const namespace = ground.ns('unseen')
  const { metadata, spec } = await ground.kubectl.get<{
    readonly metadata: { readonly uid: string }
    readonly spec: { readonly nodeName: string }
  }>(['pod', 'honest', '--namespace', namespace])
  const as = {
    user: `system:node:${spec.nodeName}`,
    groups: ['system:nodes', 'system:authenticated'],
  }
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'honest', uid: metadata.uid }
  const ask = (expirationSeconds: number): Promise<ApiAnswer> =>
    ground.api({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/victim/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [AUTHORITY.audience], expirationSeconds, boundObjectRef },
      },
      as,
    })
  expectStopped(await ask(7200), 'nocreds-authority-tokens', '3600')
  expect(await ask(3600)).toMatchObject({ status: 201 })
})

test.each<[string, string, () => object]>([
  [
    '19: hostAliases',
    'aliases',
    () => ({ hostAliases: [{ ip: impostor.ip, hostnames: [AUTHORITY.host] }] }),
  ],
  [
    "the attacker's name server",
    'resolver',
    () => ({ dnsPolicy: 'None', dnsConfig: { nameservers: [impostor.ip] } }),
  ],
  [
    "the attacker's name server beside the cluster's",
    'search',
    () => ({
      dnsConfig: { nameservers: [impostor.ip] },
      dnsPolicy: 'None',
      hostname: 'nocreds-authority',
    }),
  ],
])('%s: the impostor hears a handshake, and no token', async (_what, name, spec) => {
  const before = (await impostor.log()).split(`hello ${AUTHORITY.host}`).length
  await start(name, spec())
  await waitFor('the exchanger to knock at the impostor twice', 60_000, async () =>
    (await impostor.log()).split(`hello ${AUTHORITY.host}`).length > before + 1 ? true : undefined,
  )
  expect(await impostor.log()).not.toContain('request')
  // It says why, and the app does not start.
  const why = await waitFor('the exchanger to say why', 60_000, () => whyNot(name))
  expect(why).toMatch(/certificate|CERT|TLS/)
  const { status } = await ground.kubectl.get<{ readonly status: { readonly phase: string } }>([
    ...['pod', name, '--namespace', ground.ns('unseen')],
  ])
  expect(status.phase).toBe('Pending')
})
