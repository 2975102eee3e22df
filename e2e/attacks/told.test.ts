/**
 * What stays open on purpose, and what an installation says of itself: the webhook answers anyone (12), the cluster's
 * own audience (03), STS by http (L9), other CSI drivers' tokens (15).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ISSUER } from '../cluster/aws.ts'
import { startAttackPod, type AttackPod } from '../support/attack-pod.ts'
import { expectAdmitted, podOf, send } from '../support/attack.ts'
import { closeGround, openGround, type Ground } from '../support/attackers.ts'
import { waitFor } from '../support/wait.ts'
import { REPOSITORY } from '../versions.ts'

const SYSTEM = ['--namespace', 'nocreds-system']

let ground: Ground

beforeAll(async () => {
  ground = await openGround('told')
}, 90_000)

afterAll(() => closeGround(ground))

describe('12: anyone asks the webhook', () => {
  const ASK = `
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
process.removeAllListeners('warning')
const { namespace, annotations } = JSON.parse(fs.readFileSync(0, 'utf8'))
const object = { metadata: { name: 'x', annotations }, spec: { serviceAccountName: 'victim', containers: [{ name: 'c' }] } }
const request = { uid: 'u', kind: { kind: 'Pod' }, operation: 'CREATE', namespace, oldObject: null, object }
const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
fetch('https://nocreds-webhook.nocreds-system.svc/mutate/pods', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  .then((answer) => answer.json()).then(({ response }) => console.log(JSON.stringify(response)))
`
  let attacker: AttackPod
  beforeAll(async () => {
    attacker = await startAttackPod(ground, ground.ns('tobe'))
    const role = `nocreds.dev/role-arn=${ground.role}`
    await ground.kubectl(['annotate', 'serviceaccount', 'victim', role, '-n', ground.ns('team-a')])
  }, 60_000)

  interface Told {
    readonly allowed: boolean
    readonly patch?: string
    readonly status?: { readonly message: string }
  }
  const ask = (annotations: object): Promise<Told> =>
    attacker.node<Told>(ASK, { namespace: ground.ns('team-a'), annotations })

  test('the answer contains the injected pod, and no more', async () => {
    const { patch = '' } = await waitFor('the webhook to know the role', 15_000, async () => {
      const told = await ask({})
      return told.patch === undefined ? undefined : told
    })
    const text = Buffer.from(patch, 'base64').toString()
    expect(text).toContain(ground.role)
    expect(text).not.toMatch(/eyJ|BEGIN|SecretAccessKey/)
  })
  test('the answer contains the expression of the namespace', async () => {
    const role = 'arn:aws:iam::111122223333:role/nope'
    const { allowed, status } = await ask({ 'nocreds.dev/role-arn': role })
    expect(allowed).toBe(false)
    expect(status?.message).toContain(`${ground.prefix}-`)
  })
  test('SECURITY.md says so, with mutual TLS as what stops it', async () => {
    const text = await readFile(join(REPOSITORY, 'SECURITY.md'), 'utf8')
    expect(text).toMatch(/webhook answers any client[\s\S]{0,400}mutual TLS/)
  })
})

interface Template {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly [
          { readonly args: readonly string[] } & Record<string, unknown>,
        ]
      }
    }
  }
}

/** One more replica of the webhook with flags of its own; no Service leads to it. */
async function startCopy(name: string, flags: readonly string[]): Promise<void> {
  const { spec } = await ground.kubectl.get<Template>(['deployment', 'nocreds-webhook', ...SYSTEM])
  const { containers, ...rest } = spec.template.spec
  const container = { ...containers[0], args: [...containers[0].args, ...flags] }
  const metadata = {
    name: `${ground.prefix}-${name}`,
    namespace: 'nocreds-system',
    labels: { app: 'copy' },
  }
  const pod = {
    ...rest,
    restartPolicy: 'Never',
    containers: [container],
    topologySpreadConstraints: [],
  }
  await ground.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: pod })
}
const copyLog = (name: string): Promise<string> =>
  ground.kubectl(['logs', `${ground.prefix}-${name}`, ...SYSTEM])
const metric = async (pod: string): Promise<string> => {
  const proxy = `/api/v1/namespaces/nocreds-system/pods/${pod}:9090/proxy/metrics`
  const text = await ground.kubectl(['get', '--raw', proxy])
  return /^nocreds_webhook_cluster_audience_guarded (\S+)$/m.exec(text)?.[1] ?? ''
}

describe("03: the cluster's own audience", () => {
  afterAll(() =>
    ground.kubectl(['delete', 'pod', '--selector', 'app=copy', '--wait=false', ...SYSTEM]),
  )

  test('on this cluster it is not the one of STS', async () => {
    const { items } = await ground.kubectl.get<{
      readonly items: readonly { readonly metadata: { readonly name: string } }[]
    }>(['pods', '--selector', 'app.kubernetes.io/name=nocreds-webhook', ...SYSTEM])
    expect(await Promise.all(items.map(({ metadata }) => metric(metadata.name)))).toEqual([
      '0',
      '0',
    ])
  })
  test('if it is, the webhook says so and is not ready, unless the operator accepts it', async () => {
    const flags = [`--audience=https://${ISSUER}`]
    await startCopy('audience', flags)
    await startCopy('accepted', [...flags, '--accept-cluster-audience=true'])
    const wait = ['wait', '--for=condition=Ready', `pod/${ground.prefix}-accepted`, '--timeout=60s']
    await ground.kubectl([...wait, ...SYSTEM])
    expect(await metric(`${ground.prefix}-accepted`)).toBe('1')
    const log = await waitFor('the copy to say so', 30_000, async () => {
      const text = await copyLog('audience')
      return text.includes('"level":"error"') ? text : undefined
    })
    expect(log).toContain('accept-cluster-audience')
    expect(await metric(`${ground.prefix}-audience`)).toBe('1')
    const ready = ['pod', `${ground.prefix}-audience`, ...SYSTEM]
    const { status } = await ground.kubectl.get<{
      readonly status: {
        readonly conditions: readonly { readonly type: string; readonly status: string }[]
      }
    }>(ready)
    expect(status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False' }),
    )
  })
  test('L9: an STS over http that the operator has not accepted: the webhook does not start', async () => {
    await startCopy('http', ['--sts-endpoint=http://sts.example', '--sts-http=refused'])
    const log = await waitFor('the copy to end', 30_000, async () => {
      const text = await copyLog('http')
      return text === '' ? undefined : text
    })
    expect(log).toContain('http://sts.example')
    const failed = ['wait', '--for=jsonpath={.status.phase}=Failed', `pod/${ground.prefix}-http`]
    await ground.kubectl([...failed, '--timeout=30s', ...SYSTEM])
  })
})

test('15: a volume of another CSI driver is not inspected, and SECURITY.md says what that means', async () => {
  const volumes = [{ name: 's3', csi: { driver: 's3.example.com' } }]
  const body = podOf({ volumes }, { inject: 'false' })
  expectAdmitted(await send(ground, { place: 'certs-only', resource: 'pods', body }))
  expect(await readFile(join(REPOSITORY, 'SECURITY.md'), 'utf8')).toMatch(/tokenRequests/)
})
