/** Replicas over several lives of their CA, on a virtual clock, with calls that mix and outages. */
import { X509Certificate } from 'node:crypto'
import { afterEach, expect, test } from '@jest/globals'
import { sleep } from '../../shared/base/clock.ts'
import { jsonLogger } from '../../shared/base/log.ts'
import { KubeError, type KubeClient } from '../../shared/server/kube/kube-client.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { inMemoryKube } from '../../test/fakes/apiserver-in-memory.ts'
import { ApiserverStore } from '../../test/fakes/apiserver-store.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { seededRandom, VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createSelfManagedSource } from './self-managed.ts'
import type { ServingCertificateSource } from './source.ts'

const SECRET = '/api/v1/namespaces/nocreds-system/secrets/nocreds-webhook-tls'
const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/nocreds'
const NAME = 'nocreds-webhook.nocreds-system.svc'

/** Ten leaves to a CA; a leaf is renewed after 40 minutes and ends 20 minutes later. */
const LIVES = { leafLifetimeSeconds: 3600, caLifetimeSeconds: 36_000 }
/** Two rotations of the CA and what follows them. */
const RUN_MS = 53_000_000
const STEP_MS = 10_000
/** Each call takes up to this long each way. */
const TRAVEL_MS = 3000
/** One of the outages begins before a leaf comes from a new CA and lasts beyond the next steps. */
const OUTAGE = { everyMs: 3_550_000, lastsMs: 900_000 }
/** Apiservers learn of a new caBundle by a watch, one sooner than the other: up to 30 s later. */
const LAG_STEPS = 3

let replicas: ServingCertificateSource[] = []

afterEach(() => {
  for (const replica of replicas) replica.stop()
})

function newStore(): ApiserverStore {
  const store = new ApiserverStore()
  store.write(SECRET, { metadata: { name: 'nocreds-webhook-tls' } })
  store.write(CONFIGURATION, { metadata: { name: 'nocreds' }, webhooks: [{ clientConfig: {} }] })
  return store
}

function newReplica(kube: KubeClient, clock: VirtualClock): ServingCertificateSource {
  return createSelfManagedSource({
    ...LIVES,
    kube,
    namespace: 'nocreds-system',
    service: 'nocreds-webhook',
    secretName: 'nocreds-webhook-tls',
    webhookConfiguration: 'nocreds',
    clock,
    log: jsonLogger(
      () => undefined,
      () => 0,
    ),
  })
}

function publishedBundle(store: ApiserverStore): string {
  const [webhook] = store.get(CONFIGURATION)?.['webhooks'] as [
    { clientConfig: { caBundle?: string } },
  ]
  return Buffer.from(webhook.clientConfig.caBundle ?? '', 'base64').toString()
}

const parsed = new Map<string, X509Certificate>()

function parse(pem: string): X509Certificate {
  const known = parsed.get(pem) ?? new X509Certificate(pem)
  parsed.set(pem, known)
  return known
}

const signedBy = new Map<string, boolean>()

function isSigned(leafPem: string, caPem: string): boolean {
  const [leaf, ca] = [parse(leafPem), parse(caPem)]
  const known = signedBy.get(leafPem + caPem) ?? (leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
  signedBy.set(leafPem + caPem, known)
  return known
}

function holds(pem: string, nowMs: number): boolean {
  const { validFromDate, validToDate } = parse(pem)
  return validFromDate.getTime() <= nowMs && nowMs < validToDate.getTime()
}

/** What the apiserver, as a TLS client that trusts the bundle, would say at this time. */
function isTrusted(leafPem: string, bundlePem: string, nowMs: number): boolean {
  return (
    holds(leafPem, nowMs) &&
    parse(leafPem).checkHost(NAME) === NAME &&
    splitPem(bundlePem).some((caPem) => holds(caPem, nowMs) && isSigned(leafPem, caPem))
  )
}

/** Three replicas, of which the last is cut off from the apiserver at times. */
function newReplicas(store: ApiserverStore, clock: VirtualClock): ServingCertificateSource[] {
  const random = seededRandom(1)
  const startMs = clock.now()
  const travel = (): Promise<void> => sleep(clock, random() * TRAVEL_MS)
  const steady = inMemoryKube(store, travel)
  const cutOff = inMemoryKube(store, async () => {
    await travel()
    const intoPeriodMs = (clock.now() - startMs) % OUTAGE.everyMs
    if (intoPeriodMs > OUTAGE.everyMs - OUTAGE.lastsMs) throw new KubeError(0, 'cut off')
  })
  return [steady, steady, cutOff].map((kube) => newReplica(kube, clock))
}

test('at every moment every replica serves what the published caBundle trusts', async () => {
  const store = newStore()
  const clock = new VirtualClock(undefined, 2)
  replicas = newReplicas(store, clock)
  for (const replica of replicas) void replica.start()
  const bundles: string[] = []
  const leaves = new Set<string>()
  for (let step = 0; step < RUN_MS / STEP_MS; step += 1) {
    await clock.advance(STEP_MS)
    // When idle each waits for one timer; issuing takes real time, but no time of the clock.
    await eventually(() => clock.pending === replicas.length)
    bundles.push(publishedBundle(store))
    const known = bundles.slice(-1 - LAG_STEPS).filter((bundlePem) => bundlePem !== '')
    for (const [index, replica] of replicas.entries()) {
      const { certPem } = replica.current() ?? {}
      if (certPem === undefined) continue
      leaves.add(certPem)
      if (!known.every((bundlePem) => isTrusted(certPem, bundlePem, clock.now()))) {
        throw new Error(`replica ${index} is not trusted after ${step * STEP_MS} ms`)
      }
    }
  }
  expect(replicas.every((replica) => replica.ready)).toBe(true)
  const sizes = bundles.map((bundlePem) => splitPem(bundlePem).length)
  expect(Math.max(...sizes)).toBe(2)
  expect(sizes.at(-1)).toBe(1)
  expect(new Set(bundles.flatMap(splitPem)).size).toBe(3)
  expect(leaves.size).toBeGreaterThanOrEqual(21)
})
