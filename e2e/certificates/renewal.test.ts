/**
 * Certificates of two minutes under calls ten times a second: renewals, a new intermediate, a new root, an
 * authority that is down for half a lifetime; no call fails, by a client with the sidecar or by one of the driver.
 * Afterwards one that has expired is refused.
 */
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { CA_KEYS } from '../../authority/ca/state.ts'
import type { CaState } from '../../authority/ca/state.ts'
import { AUTHORITY } from '../../contract/certificates.ts'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { encode } from '../../shared/server/shared-secret.ts'
import { createIntermediate, createRoot, keyPemOf } from '../../shared/x509/certificate.ts'
import { installDriver, uninstallDriver } from '../cluster/install.ts'
import {
  callOnce,
  createMember,
  filesOf,
  restartAuthority,
  scaleAuthority,
  setAuthorityFlags,
  startClient,
  startServer,
  useSource,
  type Member,
  type Second,
} from '../support/certificates.ts'
import { BY_DRIVER } from '../support/driver.ts'
import { expectGroupKey, startGroupPod } from '../support/group-key.ts'
import { closeSuite, openSuite, type Suite } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

const SECONDS = { leaf: 120, intermediate: 480, root: 1920, overlap: 120 } as const
const CA_SECRET = 'nocreds-authority-ca'
const SYSTEM = ['--namespace', AUTHORITY.namespace]

let suite: Suite
let one: Member
let other: Member
let server: string
/** A client that the driver serves. */
let driven: Member
/** What the clients said. */
let said: readonly (() => Promise<readonly Second[]>)[]
/** Of the key of a pod with fsGroup that the driver serves. */
let generation: string
/** The client's first files, which have ended by the end of the test. */
let first: Awaited<ReturnType<typeof filesOf>>

beforeAll(async () => {
  suite = await openSuite('renewal')
  await useSource(suite, 'authority')
  await useCa(await agedCa())
  await setAuthorityFlags(suite, [
    `--max-lifetime-seconds=${SECONDS.leaf}`,
    `--intermediate-lifetime-seconds=${SECONDS.intermediate}`,
    `--root-lifetime-seconds=${SECONDS.root}`,
    `--overlap-seconds=${SECONDS.overlap}`,
  ])
  one = await createMember(suite, 'one')
  await installDriver(suite.host)
  other = await createMember(suite, 'other')
  driven = await createMember(suite, 'driven', BY_DRIVER.annotations)
  await suite.kubectl([
    ...['annotate', 'serviceaccount', 'app', '--namespace', one.namespace, '--overwrite'],
    `nocreds.dev/certificate-dns-names=server.${one.namespace}.svc`,
  ])
  server = await startServer(suite, one)
  said = await Promise.all([other, driven].map((member) => startClient(suite, member, server)))
  await startGroupPod(suite, driven)
  generation = await expectGroupKey(suite, driven)
  first = await filesOf(suite, other, 'deployment/client')
}, 600_000)

afterAll(async () => {
  await setAuthorityFlags(suite, []) // first, so that the next CA has a full lifetime
  await useCa()
  await restartAuthority(suite)
  await useSource(suite, 'auto')
  await closeSuite(suite)
  await uninstallDriver(suite.host)
}, 600_000)

/** A CA whose root and intermediate are due for renewal a minute and a half from now. */
async function agedCa(): Promise<CaState> {
  const dueInSeconds = 90
  const issuedAtMs = (seconds: number): number =>
    realClock.now() - ((seconds * 2) / 3 - dueInSeconds) * 1000
  const root = await createRoot(issuedAtMs(SECONDS.root), SECONDS.root)
  const issuedAt = issuedAtMs(SECONDS.intermediate)
  const issuer = await createIntermediate(root, issuedAt, SECONDS.intermediate)
  return {
    rootsPem: root.chainPem,
    rootCertPem: root.chainPem,
    rootKeyPem: keyPemOf(root.key),
    chainPem: issuer.chainPem,
    keyPem: keyPemOf(issuer.key),
    previousPem: '',
    previousUntil: '',
  }
}

/** @param state none: the authority makes a CA of its own, as at its first start */
async function useCa(state?: CaState): Promise<void> {
  const nothing = Object.fromEntries(Object.values(CA_KEYS).map((key) => [key, null]))
  const data = { ...nothing, ...(state && encode(state, CA_KEYS)) }
  const patch = JSON.stringify({ data })
  await suite.kubectl(['patch', 'secret', CA_SECRET, '--type=merge', '-p', patch, ...SYSTEM])
}

/** Issuer of the present leaf, as its subject, and the number of roots that are trusted. */
async function signers(
  of: Member,
): Promise<{ readonly intermediate: string; readonly bundlePem: string }> {
  const { certPem, bundlePem } = await filesOf(suite, of, 'deployment/client')
  return { intermediate: new X509Certificate(certPem).issuer, bundlePem }
}

const distinct = (values: readonly (string | undefined)[]): number => new Set(values).size

/** Serial of its certificate, as each client said at last. */
const serials = (): Promise<(string | undefined)[]> =>
  Promise.all(said.map(async (by) => (await by()).at(-1)?.client))

test('root, intermediate and every certificate are replaced, and no call fails', async () => {
  const before = await signers(other)
  const firstRoot = new X509Certificate(first.bundlePem)
  const isNew = (issuer: string): boolean => issuer !== before.intermediate
  /** Whether the client has a certificate below another root, and trusts that. */
  const isReplaced = async (client: Member): Promise<boolean> => {
    const { intermediate, bundlePem } = await signers(client)
    return isNew(intermediate) && !new X509Certificate(bundlePem).raw.equals(firstRoot.raw)
  }
  await waitFor('certificates below a new root on all sides', 480_000, async () => {
    const { certPem } = await filesOf(suite, one, 'deployment/server')
    const all = await Promise.all([other, driven].map(isReplaced))
    return isNew(new X509Certificate(certPem).issuer) && all.every(Boolean) ? true : undefined
  })
  for (const by of said) {
    const seconds = await waitFor('two renewals on both sides', 240_000, async () => {
      const soFar = await by()
      const renewed = Math.min(
        distinct(soFar.map((second) => second.client)),
        distinct(soFar.map((second) => second.server)),
      )
      return renewed >= 3 ? soFar : undefined
    })
    expect(seconds.flatMap(({ failed }) => failed)).toEqual([])
    // Ten a second are asked; a busy machine answers fewer, and none in some seconds.
    const answered = seconds.reduce((sum, second) => sum + second.answered, 0)
    expect(answered).toBeGreaterThan(seconds.length)
  }
  expect(await expectGroupKey(suite, driven)).not.toBe(generation)
}, 800_000)

test('the authority is down for half a lifetime, and no call fails', async () => {
  await scaleAuthority(suite.kubectl, 0)
  await sleep(realClock, (SECONDS.leaf / 2) * 1000)
  await scaleAuthority(suite.kubectl, 2)
  const before = await serials()
  await waitFor('renewals after that', 120_000, async () => {
    const now = await serials()
    return now.some((serial, index) => serial === before[index]) ? undefined : true
  })
  for (const by of said) expect((await by()).flatMap(({ failed }) => failed)).toEqual([])
}, 300_000)

test('an expired certificate is refused', async () => {
  const { validToDate } = new X509Certificate(first.certPem)
  expect(validToDate.getTime()).toBeLessThan(realClock.now())
  const { bundlePem } = await filesOf(suite, other, 'deployment/client')
  expect(await callOnce(suite, other, server, { ...first, bundlePem })).toMatch(/^refused /)
})
