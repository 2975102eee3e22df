import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { readPair } from '../../shared/x509/pair.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { createCa, issueLeaf } from './certificates.ts'
import { applyStep } from './renewal.ts'
import { nextStep, type RotationPolicy, type TlsState } from './rotation.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 86_400 * SECOND
const START = Date.UTC(2026, 0, 1)

const POLICY: RotationPolicy = {
  leafLifetimeSeconds: (30 * DAY) / SECOND,
  caLifetimeSeconds: (365 * DAY) / SECOND,
  overlapMs: 5 * MINUTE,
  dnsNames: ['nocreds-webhook.nocreds-system.svc'],
}
/** Two thirds of the lives above. */
const LEAF_DUE = 20 * DAY
const CA_DUE = (2 / 3) * 365 * DAY

let fresh: TlsState
/** A new CA has just joined, the leaf is a day old. */
let joined: TlsState
/** Some time later the leaf is from the new CA. */
let moved: TlsState
const JOINED = START + CA_DUE
const MOVED = JOINED + 6 * MINUTE

beforeAll(async () => {
  fresh = await applyStep('reset', undefined, START, POLICY)
  const renewed = await applyStep('renew-leaf', fresh, JOINED - DAY, POLICY)
  joined = await applyStep('add-ca', renewed, JOINED, POLICY)
  moved = await applyStep('renew-leaf', joined, MOVED, POLICY)
})

describe('a converged state', () => {
  test.each([
    ['new', 0, 'up-to-date'],
    ['before two thirds of the leaf', LEAF_DUE - 1, 'up-to-date'],
    ['at two thirds of the leaf', LEAF_DUE, 'renew-leaf'],
    ['past the leaf', 31 * DAY, 'renew-leaf'],
    ['before two thirds of the CA', CA_DUE - 1, 'renew-leaf'],
    ['at two thirds of the CA', CA_DUE, 'add-ca'],
    ['past the CA', 365 * DAY, 'reset'],
    ['a clock that was put back a year', -365 * DAY, 'up-to-date'],
  ] as const)('%s', (_when, afterMs, step) => {
    expect(nextStep(fresh, START + afterMs, POLICY)).toBe(step)
  })

  test('whose leaf is for other names gets a new leaf', () => {
    const dnsNames = [...POLICY.dnsNames, 'another.nocreds-system.svc']
    expect(nextStep(fresh, START, { ...POLICY, dnsNames })).toBe('renew-leaf')
  })
})

/** With the leaf of a version whose serving certificates were RSA. */
function withRsaLeaf(state: TlsState): TlsState {
  const folder = mkdtempSync(join(tmpdir(), 'nocreds-rsa-'))
  const file = (name: string, content = ''): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const csr = file('csr.pem')
  const openssl = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    return stdout
  }
  openssl('req', '-new', '-key', file('key.pem', keyPem), '-subj', '/CN=x', '-out', csr)
  const certPem = openssl(
    ...['x509', '-req', '-in', csr, '-sha256', '-days', '10000'],
    ...['-CA', file('ca.pem', state.caCertPem), '-CAkey', file('ca.key', state.caKeyPem)],
    ...[
      '-extfile',
      file('ext', `subjectAltName=${POLICY.dnsNames.map((n) => `DNS:${n}`).join(',')}`),
    ],
  )
  rmSync(folder, { recursive: true })
  expect(new X509Certificate(certPem).publicKey.equals(publicKey)).toBe(true)
  return { ...state, certPem, keyPem }
}

describe('after an upgrade from RSA', () => {
  test('the leaf can be served, and the next check replaces it, below the same CA', async () => {
    const nowMs = Date.now() // openssl's leaf begins now
    const policy = { ...POLICY, caLifetimeSeconds: 50 * 365 * 86_400 }
    const ca = await applyStep('reset', undefined, nowMs, policy)
    const state = withRsaLeaf(ca)
    expect(() => readPair(state.certPem, state.keyPem)).not.toThrow()
    expect(nextStep(state, nowMs, policy)).toBe('renew-leaf')
    const renewed = await applyStep('renew-leaf', state, nowMs, policy)
    expect(new X509Certificate(renewed.certPem).publicKey.asymmetricKeyType).toBe('ec')
    expect(renewed.bundlePem).toBe(ca.bundlePem)
    expect(nextStep(renewed, nowMs, policy)).toBe('up-to-date')
  })

  test('but not before a new CA is everywhere', async () => {
    const nowMs = Date.now()
    const policy = { ...POLICY, caLifetimeSeconds: 50 * 365 * 86_400 }
    const before = withRsaLeaf(await applyStep('reset', undefined, nowMs, policy))
    const withNewCa = await applyStep('add-ca', before, nowMs, policy)
    expect(nextStep(withNewCa, nowMs + 4 * MINUTE, policy)).toBe('up-to-date')
    expect(nextStep(withNewCa, nowMs + 5 * MINUTE, policy)).toBe('renew-leaf')
  })
})

describe('a CA is replaced without a gap', () => {
  test('it joins the bundle; the leaf stays', () => {
    const [first, second, ...more] = splitPem(joined.bundlePem)
    expect([first, second, more]).toEqual([joined.caCertPem, fresh.caCertPem, []])
    expect(new X509Certificate(joined.certPem).checkIssued(new X509Certificate(second!))).toBe(true)
  })

  test.each([
    ['the leaf waits for the overlap', 5 * MINUTE - 1, 'up-to-date'],
    ['then comes from the new CA', 5 * MINUTE, 'renew-leaf'],
  ] as const)('%s', (_what, afterMs, step) => {
    expect(nextStep(joined, JOINED + afterMs, POLICY)).toBe(step)
  })

  test('a leaf that expires within the overlap does not wait', async () => {
    const short = { ...POLICY, leafLifetimeSeconds: 60 }
    const ending = await applyStep('renew-leaf', fresh, JOINED - MINUTE, short)
    const state = await applyStep('add-ca', ending, JOINED, POLICY)
    expect(nextStep(state, JOINED, POLICY)).toBe('renew-leaf')
  })

  test.each([
    ['the old CA stays while one of its leaves may be in use', 20 * DAY - 6 * MINUTE, 'up-to-date'],
    ['a leaf is renewed meanwhile as ever', 20 * DAY + 6 * MINUTE, 'renew-leaf'],
  ] as const)('%s', (_what, afterMs, step) => {
    expect(nextStep(moved, JOINED + afterMs, POLICY)).toBe(step)
  })

  test('the old CA leaves with its last leaf', async () => {
    const last = JOINED + 30 * DAY
    const state = await applyStep('renew-leaf', moved, JOINED + 21 * DAY, POLICY)
    expect(nextStep(state, last - 1, POLICY)).toBe('up-to-date')
    expect(nextStep(state, last, POLICY)).toBe('drop-old-cas')
    const alone = await applyStep('drop-old-cas', state, last, POLICY)
    expect(alone).toEqual({ ...state, bundlePem: state.caCertPem })
    expect(nextStep(alone, last, POLICY)).toBe('up-to-date')
  })

  test('a new leaf has time to propagate before the old CA is dropped', async () => {
    const last = JOINED + 30 * DAY
    const state = await applyStep('renew-leaf', moved, last - MINUTE, POLICY)
    expect(nextStep(state, last, POLICY)).toBe('up-to-date')
    expect(nextStep(state, last + 4 * MINUTE, POLICY)).toBe('drop-old-cas')
  })
})

describe('an unusable state is reset', () => {
  const foreign = async (): Promise<TlsState> =>
    applyStep('reset', undefined, START, { ...POLICY, dnsNames: ['foreign.svc'] })

  test('nothing', () => {
    expect(nextStep(undefined, START, POLICY)).toBe('reset')
  })

  test.each(['caCertPem', 'caKeyPem', 'bundlePem', 'certPem', 'keyPem'] as const)(
    'where %s is missing, garbage, cut, or of another state',
    async (field) => {
      const other = await foreign()
      for (const text of ['', 'garbage', fresh[field].slice(0, -60), other[field]]) {
        expect(nextStep({ ...fresh, [field]: text }, START, POLICY)).toBe('reset')
      }
    },
  )

  test('a leaf that only claims to be from the CA', async () => {
    const { certPem, keyPem } = await issueLeaf({
      ca: { certPem: fresh.caCertPem, keyPem: (await foreign()).caKeyPem },
      dnsNames: POLICY.dnsNames,
      nowMs: START,
      lifetimeSeconds: 60,
    })
    expect(nextStep({ ...fresh, certPem, keyPem }, START, POLICY)).toBe('reset')
  })

  test('a bundle that does not begin with the CA that signs', async () => {
    const { certPem } = await createCa({ nowMs: START, lifetimeSeconds: 60 })
    const bundlePem = certPem + fresh.bundlePem
    expect(nextStep({ ...fresh, bundlePem }, START, POLICY)).toBe('reset')
  })
})

test('three years: trusted at every moment, one CA after the other, at most two at once', async () => {
  const log: { readonly step: string; readonly atMs: number }[] = []
  let state = fresh
  for (let nowMs = START; nowMs < START + 3 * 365 * DAY; nowMs += DAY) {
    let atMs = nowMs
    let step = nextStep(state, atMs, POLICY)
    while (step !== 'up-to-date') {
      log.push({ step, atMs })
      state = await applyStep(step, state, atMs, POLICY)
      atMs += POLICY.overlapMs // another step may follow then
      step = nextStep(state, atMs, POLICY)
    }
    const bundle = splitPem(state.bundlePem).map((pem) => new X509Certificate(pem))
    const leaf = new X509Certificate(state.certPem)
    const trusted = bundle.some((ca) => leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
    expect([trusted, bundle.length <= 2]).toEqual([true, true])
    for (const one of [leaf, ...bundle]) {
      expect(one.validToDate.getTime()).toBeGreaterThan(nowMs + DAY)
    }
  }
  const count = (wanted: string): number => log.filter(({ step }) => step === wanted).length
  expect([count('reset'), count('add-ca'), count('drop-old-cas')]).toEqual([0, 4, 4])
  expect(count('renew-leaf')).toBeGreaterThan(50)
  for (const [index, { step, atMs }] of log.entries()) {
    if (step !== 'add-ca') continue
    const after = log.slice(index + 1)
    expect(after[0]).toEqual({ step: 'renew-leaf', atMs: atMs + POLICY.overlapMs })
    const dropped = after.find((entry) => entry.step === 'drop-old-cas')
    expect(dropped?.atMs).toBeGreaterThanOrEqual(atMs + 30 * DAY)
  }
})
