/**
 * An exchanger that is led to an impostor of the authority, by hostAliases (05, 19) or by the attacker's own name
 * server: it connects only to servers with a certificate of the authority's own root, so its token is not sent.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
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
 * A pod with a certificate by the exchanger, as the webhook writes it if the source is the authority; the guard, which
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

interface Started {
  readonly metadata: { readonly uid: string }
  readonly spec: { readonly nodeName: string }
  readonly status: { readonly phase: string; readonly podIP?: string }
}

const podOfUnseen = (name: string): Promise<Started> =>
  ground.kubectl.get<Started>(['pod', name, '--namespace', ground.ns('unseen')])

/** Its log, as soon as the kubelet returns it: a container that ended and is to start again has that of before. */
async function whyNot(pod: string): Promise<string | undefined> {
  const logs = ['logs', pod, '--namespace', ground.ns('unseen'), '-c', 'nocreds-exchanger']
  const log = await ground.kubectl(logs).catch(() => ground.kubectl([...logs, '--previous']))
  return log === '' ? undefined : log
}

test('a pod that is not redirected gets its certificate from the same exchanger', async () => {
  await start('honest', {})
  const wait = ['wait', '--for=condition=Ready', 'pod/honest', '--timeout=60s']
  await ground.kubectl([...wait, '--namespace', ground.ns('unseen')])
})

test('10: not even a kubelet makes a token for the authority that is valid for more than an hour', async () => {
  const namespace = ground.ns('unseen')
  const { metadata, spec } = await podOfUnseen('honest')
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

describe('redirected to the impostor', () => {
  const ASTRAY: Readonly<Record<string, () => object>> = {
    aliases: () => ({ hostAliases: [{ ip: impostor.ip, hostnames: [AUTHORITY.host] }] }),
    resolver: () => ({ dnsPolicy: 'None', dnsConfig: { nameservers: [impostor.ip] } }),
  }
  beforeAll(async () => {
    const pods = Object.entries(ASTRAY)
    await Promise.all(pods.map(([name, spec]) => start(name, spec())))
  })

  test.each([
    ['19: by hostAliases', 'aliases'],
    ["by the attacker's name server", 'resolver'],
  ])('%s: the impostor sees a handshake, and no token', async (_how, name) => {
    // It says why once it gives up, before which the kubelet tells neither its log nor its address.
    const why = await waitFor('the exchanger to say why', 90_000, () => whyNot(name))
    expect(why).toMatch(/certificate|CERT|TLS/)
    const { status } = await podOfUnseen(name)
    expect(status.phase).toBe('Pending') // the app does not start
    const heard = (await impostor.log()).split('\n')
    expect(heard).toContain(`knock ${status.podIP ?? ''}`)
    expect(heard).toContain(`hello ${AUTHORITY.host}`)
    expect(heard.filter((line) => line.startsWith('request'))).toEqual([])
  })
})
