/** Replicas against an apiserver over real HTTP: starting together, taking turns, going on without it. */
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import { jsonLogger } from '../../shared/base/log.ts'
import { createKubeClient } from '../../shared/server/kube/kube.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { FakeApiserver, type SeenRequest } from '../../test/fakes/apiserver.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createCa } from './certificates.ts'
import { createSelfManagedSource } from './self-managed.ts'
import type { ServingCertificateSource } from './source.ts'

const SECRET = '/api/v1/namespaces/nocreds-system/secrets/nocreds-webhook-tls'
const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/nocreds'
const CHECK_MS = 60_000
const LEAF_SECONDS = 7 * 86_400

let api: FakeApiserver
let clock: VirtualClock
let replicas: ServingCertificateSource[]
let logged: { readonly level: string; readonly msg: string }[]

beforeEach(async () => {
  api = await new FakeApiserver().start()
  clock = new VirtualClock()
  replicas = []
  logged = []
  applyManifests()
})

afterEach(async () => {
  for (const replica of replicas) replica.stop()
  await api.stop()
})

/** As `kubectl apply` leaves them: the Secret without data, the webhooks without caBundle. */
function applyManifests(): void {
  const webhook = (name: string): object => ({
    name,
    clientConfig: { service: { name: 'nocreds-webhook' } },
  })
  api.store.write(SECRET, { metadata: { name: 'nocreds-webhook-tls' }, type: 'Opaque' })
  api.store.write(CONFIGURATION, {
    metadata: { name: 'nocreds' },
    webhooks: [webhook('pods.nocreds.dev'), webhook('namespaces.nocreds.dev')],
  })
}

function newReplica(): ServingCertificateSource {
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook' },
  )
  const log = jsonLogger(
    (line) => logged.push(JSON.parse(line) as (typeof logged)[number]),
    () => 0,
  )
  const replica = createSelfManagedSource({
    kube: createKubeClient(config),
    namespace: 'nocreds-system',
    service: 'nocreds-webhook',
    secretName: 'nocreds-webhook-tls',
    webhookConfiguration: 'nocreds',
    leafLifetimeSeconds: LEAF_SECONDS,
    caLifetimeSeconds: 365 * 86_400,
    clock,
    log,
  })
  replicas.push(replica)
  return replica
}

async function startReplicas(count: number): Promise<ServingCertificateSource[]> {
  const started = Array.from({ length: count }, newReplica)
  await Promise.all(started.map((replica) => replica.start()))
  await allIdle()
  return started
}

/** Every replica waits for its next check, so no call is under way. */
const allIdle = (): Promise<void> => eventually(() => clock.pending === replicas.length)

async function nextChecks(): Promise<void> {
  await clock.advance(CHECK_MS)
  await allIdle()
}

/** The caBundle of each webhook, decoded. */
function published(): string[] {
  const { webhooks } = api.store.get(CONFIGURATION) as unknown as {
    webhooks: { clientConfig: { caBundle?: string } }[]
  }
  return webhooks.map(({ clientConfig }) =>
    Buffer.from(clientConfig.caBundle ?? '', 'base64').toString(),
  )
}

function isTrusted(replica: ServingCertificateSource): boolean {
  const leaf = new X509Certificate(replica.current()?.certPem ?? '')
  return published().every((bundle) =>
    splitPem(bundle).some((pem) => leaf.verify(new X509Certificate(pem).publicKey)),
  )
}

function secretData(): Readonly<Record<string, string>> {
  return (api.store.get(SECRET)?.['data'] ?? {}) as Readonly<Record<string, string>>
}

const wrote = (path: string): SeenRequest[] =>
  api.requests.filter((request) => request.path === path && request.method !== 'GET')

describe('replicas that start at once', () => {
  test.each([2, 2, 2, 3, 3, 4])('converge to one CA: %i of them', async (count) => {
    // All read the empty Secret before anyone may write, so all of them try.
    const readers = Promise.withResolvers<undefined>()
    let reads = 0
    api.afterRead = ({ path }) => {
      if (path !== SECRET) return
      reads += 1
      if (reads === count) readers.resolve(undefined)
      return readers.promise
    }
    const started = await startReplicas(count)
    expect(wrote(SECRET)).toHaveLength(count)
    const [first] = started
    for (const replica of started) {
      expect(replica.ready).toBe(true)
      expect(replica.current()).toEqual(first?.current())
      expect(isTrusted(replica)).toBe(true)
    }
    const bundle = Buffer.from(secretData()['ca.crt'] ?? '', 'base64').toString()
    expect(splitPem(bundle)).toHaveLength(1)
    expect(published()).toEqual([bundle, bundle])
  })

  test('write nothing while everything is in sync', async () => {
    await startReplicas(3)
    const before = api.store.revision
    for (let check = 0; check < 5; check += 1) await nextChecks()
    expect(api.store.revision).toBe(before)
    expect(wrote(CONFIGURATION).length).toBeLessThanOrEqual(3) // one that wins, two that lose
  })
})

describe('ready', () => {
  test('not before the caBundle is in place', async () => {
    api.fault = ({ method }) => (method === 'PATCH' ? 500 : undefined)
    const replica = newReplica()
    const first = replica.start()
    await allIdle()
    expect(secretData()['tls.crt']).toBeDefined()
    expect([replica.ready, replica.current()]).toEqual([false, undefined])
    api.fault = () => undefined
    await nextChecks()
    expect(await first).toBe(replica.current())
    expect([replica.ready, isTrusted(replica)]).toEqual([true, true])
  })

  test('not before the manifests are applied; then without a restart', async () => {
    api.store.remove(SECRET)
    const replica = newReplica()
    const first = replica.start()
    await allIdle()
    expect(replica.ready).toBe(false)
    expect(logged).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        error: expect.stringContaining(SECRET) as unknown,
      }),
    )
    applyManifests()
    await nextChecks()
    await first
    expect(replica.ready).toBe(true)
  })

  test('while the apiserver is unreachable, until the certificate expires', async () => {
    const [replica] = await startReplicas(1)
    const before = replica?.current()
    await api.stop()
    for (let check = 0; check < 3; check += 1) await nextChecks()
    expect([replica?.ready, replica?.current()]).toEqual([true, before])
    clock.suspend(LEAF_SECONDS * 1000)
    expect(replica?.ready).toBe(false)
    await api.start()
    await nextChecks()
    expect([replica?.ready, replica?.current() === before]).toEqual([true, false])
  })
})

describe('what someone else did', () => {
  const CA_PEM = async (): Promise<string> =>
    (await createCa({ nowMs: clock.now(), lifetimeSeconds: 60 })).certPem

  test.each([
    ['garbage', () => Promise.resolve('not PEM')],
    ['another CA', CA_PEM],
    ['nothing', () => Promise.resolve('')],
  ])('a Secret whose tls.crt became %s is replaced, with a warning', async (_what, certPem) => {
    const [replica] = await startReplicas(1)
    const tlsCrt = Buffer.from(await certPem()).toString('base64')
    const secret = api.store.get(SECRET)
    api.store.write(SECRET, {
      ...secret,
      metadata: { name: 'nocreds-webhook-tls' },
      data: { ...secretData(), 'tls.crt': tlsCrt },
    })
    const before = replica?.current()
    await nextChecks()
    expect(replica?.current()).not.toEqual(before)
    expect(isTrusted(replica!)).toBe(true)
    expect(logged.filter(({ level }) => level === 'warn')).toHaveLength(1)
    expect(JSON.stringify(logged)).not.toContain('PRIVATE KEY')
  })

  test('an overwritten caBundle is restored, in that webhook only', async () => {
    const [replica] = await startReplicas(1)
    const [bundle] = published()
    const { webhooks, ...rest } = api.store.get(CONFIGURATION) as unknown as {
      webhooks: object[]
      metadata: { name: string }
    }
    const broken = { name: 'pods.nocreds.dev', clientConfig: { caBundle: 'AAAA' } }
    api.store.write(CONFIGURATION, { ...rest, webhooks: [broken, ...webhooks.slice(1)] })
    await nextChecks()
    expect(published()).toEqual([bundle, bundle])
    expect(isTrusted(replica!)).toBe(true)
  })

  test('a change of the configuration between read and patch is kept', async () => {
    let meddled = false
    api.beforeAnswer = ({ method }) => {
      if (method !== 'PATCH' || meddled) return
      meddled = true
      const { metadata, ...rest } = api.store.get(CONFIGURATION)!
      api.store.write(CONFIGURATION, {
        ...rest,
        metadata: { ...metadata, labels: { by: 'other' } },
      })
    }
    const [replica] = await startReplicas(1)
    expect(isTrusted(replica!)).toBe(true)
    expect(api.store.get(CONFIGURATION)?.metadata['labels']).toEqual({ by: 'other' })
    expect(wrote(CONFIGURATION)).toHaveLength(2)
  })
})

test('listeners hear of each new certificate, and only then', async () => {
  const replica = newReplica()
  const heard: string[] = []
  replica.onChange(({ certPem }) => heard.push(certPem))
  await replica.start()
  await allIdle()
  await nextChecks()
  expect(heard).toHaveLength(1)
  clock.suspend(LEAF_SECONDS * 700)
  await nextChecks()
  expect(heard).toEqual([heard[0], replica.current()?.certPem])
  expect(heard[1]).not.toBe(heard[0])
})
