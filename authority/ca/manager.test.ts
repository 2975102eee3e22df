import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createServer } from 'node:https'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY } from '../../contract/certificates.ts'
import type { LogFields, Logger } from '../../shared/base/log.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { inMemoryKube } from '../../test/fakes/apiserver-in-memory.ts'
import { ApiserverStore } from '../../test/fakes/apiserver-store.ts'
import { SECRET_PATH } from '../../test/fakes/authority-cluster.ts'
import { closeAtOnce, listenOnLoopback } from '../../test/fakes/loopback-server.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createCaManager, type CaManager } from './manager.ts'
import { serverNames } from './own-certificate.ts'
import { applyStep, type RotationPolicy } from './rotation.ts'
import { isSignedBy } from './state.ts'

const POLICY: RotationPolicy = {
  rootLifetimeSeconds: 3650 * 86_400,
  intermediateLifetimeSeconds: 90 * 86_400,
  leafLifetimeSeconds: 86_400,
  overlapMs: 900_000,
}

let store: ApiserverStore
let clock: VirtualClock
let lines: LogFields[]
const keepers: CaManager[] = []

beforeEach(() => {
  store = new ApiserverStore()
  clock = new VirtualClock()
  lines = []
  write({})
})

afterEach(() => {
  for (const keeper of keepers.splice(0)) keeper.stop()
})

function write(data: Readonly<Record<string, string>>): void {
  const encoded = Object.entries(data).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ])
  store.write(SECRET_PATH, {
    metadata: { name: 'nocreds-authority-ca' },
    data: Object.fromEntries(encoded) as object,
  })
}

function keeper(): CaManager {
  const note = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const kube = inMemoryKube(store, () => Promise.resolve())
  const names = serverNames({ clusterDomain: 'prod.example.com', authorityNames: [] })
  const made = createCaManager({
    kube,
    path: SECRET_PATH,
    policy: POLICY,
    serverNames: names,
    clock,
    log,
  })
  keepers.push(made)
  return made
}

/** What an operator puts into the Secret: intermediate, its key and the root, but not the root's key. */
async function ownCa(): Promise<Record<string, string>> {
  const state = await applyStep('reset', undefined, { nowMs: clock.now() }, POLICY)
  return {
    'ca.crt': state.rootsPem,
    'ca-signing.crt': state.chainPem,
    'ca-signing.key': state.keyPem,
  }
}

test('replicas that start at once share one CA: the first to write wins', async () => {
  const all = [keeper(), keeper(), keeper()]
  await Promise.all(all.map((one) => one.check()))
  await Promise.all(all.map((one) => one.check()))
  expect(new Set(all.map((one) => one.current()?.bundlePem)).size).toBe(1)
  expect(new Set(all.map((one) => one.current()?.issuer.chainPem)).size).toBe(1)
  expect(lines.filter(({ step, wrote }) => step === 'reset' && wrote === true)).toHaveLength(1)
})

test('an invalid Secret is left unchanged and does not stop the active CA', async () => {
  const one = keeper()
  await one.check()
  const before = one.current()
  write({ 'ca-signing.crt': 'x', 'ca-signing.key': 'y', 'ca.crt': 'z' })
  const data = store.get(SECRET_PATH)
  await expect(one.check()).rejects.toMatchObject({ code: 'ERR_CA_STATE' })
  expect(one.current()).toBe(before)
  expect(store.get(SECRET_PATH)).toBe(data)
})

test('no Secret at all says what to do', async () => {
  store.remove(SECRET_PATH)
  await expect(keeper().check()).rejects.toMatchObject({ code: 'ERR_SECRET_MISSING' })
})

describe('a CA of the operator', () => {
  test('is used without the key of its root', async () => {
    const own = await ownCa()
    write(own)
    const one = keeper()
    await one.check()
    expect(one.current()?.bundlePem).toBe(own['ca.crt'])
    expect(Object.keys(store.present(SECRET_PATH)['data'] as object).sort()).toEqual(
      Object.keys(own).sort(),
    )
  })

  test('that replaces another: the old root stays until the last leaf below it has expired', async () => {
    const [before, after] = [await ownCa(), await ownCa()]
    write(before)
    const [one, other] = [keeper(), keeper()]
    await one.check()
    await other.check()
    write(after)
    await Promise.all([one.check(), other.check()])
    for (const replica of [one, other, keeper()]) {
      await replica.check()
      expect(splitPem(replica.current()!.bundlePem)).toEqual([after['ca.crt'], before['ca.crt']])
      expect(replica.current()?.issuer.chainPem).toBe(after['ca-signing.crt'])
    }
    await clock.advance(POLICY.overlapMs + POLICY.leafLifetimeSeconds * 1000)
    for (const replica of [one, other, one]) {
      await replica.check()
      expect(replica.current()?.bundlePem).toBe(after['ca.crt'])
    }
  })
})

/** Whether a client that trusts only the bundle accepts the certificate of the authority's server. */
function takes(bundlePem: string, { certPem }: { readonly certPem: string }): boolean {
  const chain = splitPem(certPem).map((pem) => new X509Certificate(pem))
  const roots = splitPem(bundlePem).map((pem) => new X509Certificate(pem))
  return chain.every((one, index) => {
    const above = chain[index + 1]
    const signers = above === undefined ? roots : [above]
    return (
      one.validToDate.getTime() > clock.now() && signers.some((signer) => isSignedBy(one, signer))
    )
  })
}

describe('the server certificate while the root is replaced', () => {
  const LEAF_MS = POLICY.leafLifetimeSeconds * 1000

  test('is valid for clients with only the old root, for the lifetime of a leaf, and for clients with both', async () => {
    const one = keeper()
    await one.check()
    const old = one.current()!.bundlePem
    // The new root is in the bundle; an overlap later it signs.
    while (one.current()!.bundlePem === old) {
      await clock.advance(20 * 86_400_000)
      await one.check()
    }
    const issuerBefore = one.current()!.issuer.chainPem
    expect(splitPem(one.current()!.bundlePem)).toHaveLength(2)
    await clock.advance(POLICY.overlapMs)
    await one.check()
    expect(one.current()!.issuer.chainPem).not.toBe(issuerBefore)
    for (let hour = 0; hour < 24; hour += 1) {
      await one.check()
      const { server, bundlePem } = one.current()!
      expect([takes(old, server), takes(bundlePem, server)]).toEqual([true, true])
      await clock.advance(LEAF_MS / 24)
    }
    await one.check()
    const after = one.current()!
    expect(after.previous).toBeUndefined()
    expect([takes(old, after.server), takes(after.bundlePem, after.server)]).toEqual([false, true])
    // All the time, what it issues is below the new root.
    expect(after.server.signedBy).toBe(after.issuer.chainPem)
  })

  test('of an operator, too', async () => {
    const [before, after] = [await ownCa(), await ownCa()]
    write(before)
    const one = keeper()
    await one.check()
    write(after)
    await one.check()
    const { server, bundlePem, issuer } = one.current()!
    expect(issuer.chainPem).toBe(after['ca-signing.crt'])
    expect([takes(before['ca.crt']!, server), takes(bundlePem, server)]).toEqual([true, true])
    await clock.advance(LEAF_MS)
    await one.check()
    expect(takes(after['ca.crt']!, one.current()!.server)).toBe(true)
  })

  test('is issued from the new root immediately if the old one is no longer trusted', async () => {
    const one = keeper()
    await one.check()
    const old = one.current()!.bundlePem
    write({}) // the operator wants another CA
    await one.check()
    const { server, bundlePem } = one.current()!
    expect([takes(old, server), takes(bundlePem, server)]).toEqual([false, true])
  })

  test('follows the intermediate immediately if the root stays', async () => {
    const one = keeper()
    await one.check()
    await clock.advance(((POLICY.intermediateLifetimeSeconds * 2) / 3) * 1000)
    await one.check()
    const { server, issuer, previous } = one.current()!
    expect(previous).toBeUndefined()
    expect(server.signedBy).toBe(issuer.chainPem)
  })
})

test('the server certificate is for the names of the Service and is renewed in time', async () => {
  const one = keeper()
  await one.check()
  const first = one.current()!.server
  const leaf = new X509Certificate(first.certPem)
  for (const name of [AUTHORITY.host, `${AUTHORITY.host}.prod.example.com`, AUTHORITY.service]) {
    expect(leaf.checkHost(name)).toBe(name)
  }
  expect(leaf.checkPrivateKey(createPrivateKey(first.keyPem))).toBe(true)
  await clock.advance((POLICY.leafLifetimeSeconds * 1000) / 2 - 120_000)
  await one.check()
  expect(one.current()!.server).toBe(first)
  await clock.advance(120_000)
  await one.check()
  const second = one.current()!.server
  expect(second.certPem).not.toBe(first.certPem)
  expect(second.expiresAtMs).toBeGreaterThan(first.expiresAtMs)
})

test('a renewed server certificate is used for new connections and does not affect open ones', async () => {
  clock = new VirtualClock(Date.now() - (POLICY.leafLifetimeSeconds * 1000) / 2)
  const one = keeper()
  await one.check()
  const { server: first, bundlePem } = one.current()!
  const server = createServer({ cert: first.certPem, key: first.keyPem })
  one.onChange(({ server: { certPem, keyPem } }) => {
    server.setSecureContext({ cert: certPem, key: keyPem })
  })
  const port = await listenOnLoopback(server, 0)
  const open = await dial(port, bundlePem)
  await clock.advance((POLICY.leafLifetimeSeconds * 1000) / 2)
  await one.check()
  const next = await dial(port, bundlePem)
  expect(next.serial).not.toBe(open.serial)
  expect(open.socket.destroyed).toBe(false)
  for (const { socket } of [open, next]) socket.destroy()
  await closeAtOnce(server)
})

function dial(
  port: number,
  ca: string,
): Promise<{ readonly socket: ReturnType<typeof connect>; readonly serial: string }> {
  return new Promise((resolve, reject) => {
    const to = {
      host: '127.0.0.1',
      port,
      ca,
      servername: AUTHORITY.host,
      checkServerIdentity: () => undefined,
    }
    const socket = connect(to, () => {
      resolve({ socket, serial: socket.getPeerCertificate().serialNumber })
    })
    socket.on('error', reject)
  })
}
