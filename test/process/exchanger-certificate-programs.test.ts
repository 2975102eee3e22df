/** The programs of a sidecar that keeps a certificate, against an authority with faults. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { parseCertificateDocument } from '../../contract/certificate-document.ts'
import { parseTrustBundle } from '../../contract/trust-bundle-document.ts'
import { realClock } from '../../shared/base/clock.ts'
import { bundlePrograms } from '../../tools/build/programs.ts'
import { startAuthority, type TestAuthority } from '../fakes/authority/server.ts'
import {
  authorityToken,
  CERTIFICATE_CONFIG,
  makeCertifiedPod,
  type CertifiedPod,
} from '../fakes/exchanger-certificates.ts'
import { makePod, start, until, type Pod, type Running } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'
import { recordSecret } from '../leak-check.ts'

const JWT = authorityToken('program')
const WHO = 'certificate for ServiceAccount team-a/app'
const { namespace, serviceAccount } = CERTIFICATE_CONFIG

let dist: string
beforeAll(async () => {
  recordSecret(JWT)
  dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  await bundleExchanger(dist)
})
afterAll(() => rm(dist, { recursive: true }))

let authority: TestAuthority
let pod: CertifiedPod
const running = new Set<Running>()
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const one of running) {
    one.kill('SIGKILL')
    await one.exited
  }
  running.clear()
  for (const close of closing.splice(0)) await close()
})

/** @param lifetimeSeconds of the certificates; as asked for if not given */
async function arrange(lifetimeSeconds?: number, credentials?: Pod): Promise<void> {
  authority = await startAuthority({
    clock: realClock,
    namespace,
    serviceAccount,
    isGood: (jwt) => jwt === JWT,
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
  })
  pod = await makeCertifiedPod({ authorityUrl: authority.url }, credentials?.config)
  await pod.putToken(JWT)
  await pod.putTrustBundle(authority.trustBundle)
  closing.push(
    () => authority.stop(),
    () => pod.remove(),
  )
}

function run(command: string): Running {
  const one = start(join(dist, 'exchanger.mjs'), command, pod.env)
  running.add(one)
  return one
}

const line = (one: Running, msg: string): Promise<object> =>
  until(() => one.lines().find((said) => said.msg === msg))

/** What an app has, which must fit together. */
async function published(): Promise<X509Certificate> {
  const generation = join(
    pod.config.tlsFolder,
    await readlink(join(pod.config.tlsFolder, '..data')),
  )
  const key = await readFile(join(generation, 'tls.key'), 'utf8')
  recordSecret(key)
  const leaf = new X509Certificate(await readFile(join(generation, 'tls.crt')))
  expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true)
  return leaf
}

describe('a certificate alone', () => {
  beforeEach(() => arrange())

  test('exists once the gate opens, and the sidecar exits at SIGTERM', async () => {
    const resident = run('run')
    expect(await run('wait').exited).toBe(0)
    const leaf = await published()
    expect(leaf.subjectAltName).toContain('URI:spiffe://cluster.local/ns/team-a/sa/app')
    expect(await pod.file('tls.crt')).toContain(leaf.toString())
    expect((await pod.file('ca.crt')).trim()).toBe(authority.trustBundle.trim())
    await line(resident, 'certificate published')
    resident.kill('SIGTERM')
    expect(await resident.exited).toBe(0)
    expect(await pod.terminationMessage()).toBe('')
    expect(resident.said.stderr).toBe('')
    expect(resident.lines().map(({ msg, level }) => [level, msg])).toEqual([
      ['info', 'certificate requested'],
      ['info', 'certificate published'],
    ])
    expect(resident.lines()[1]).toMatchObject({ namespace, serviceAccount })
  })

  test('is waited for while the authority is down at start', async () => {
    await authority.stop()
    const resident = run('run')
    const gate = run('wait')
    expect(await line(resident, 'certificate request failed')).toMatchObject({
      code: 'ECONNREFUSED',
      class: 'transient',
    })
    await authority.start()
    expect(await gate.exited).toBe(0)
  })

  test('refused: exit code 1, and the reason in log, termination message and gate', async () => {
    const message = 'db.team-b is not permitted'
    authority.fault({ kind: 'refusal', status: 403, code: 'name-not-permitted', message })
    const resident = run('run')
    const gate = run('wait')
    expect(await gate.exited).toBe(1)
    const reason = await pod.terminationMessage()
    expect(reason).toContain(
      `name-not-permitted: the authority refused a ${WHO}: ${message}. Hint: Compare nocreds.dev/certificate-dns-names`,
    )
    expect(gate.said.stderr).toBe(`no ${WHO}: ${reason}\n`)
    expect(await line(resident, 'certificate request failed')).toMatchObject({
      code: 'name-not-permitted',
      class: 'refused',
      namespace,
      serviceAccount,
    })
    resident.kill('SIGTERM')
    expect(await resident.exited).toBe(1)
  })

  test('with a refused token: the next one is used at once', async () => {
    await pod.putToken(authorityToken('old'))
    const resident = run('run')
    expect(await line(resident, 'certificate request failed')).toMatchObject({
      code: 'token-invalid',
      class: 'token',
    })
    await pod.putToken(JWT)
    expect(await run('wait').exited).toBe(0)
  })

  test('SIGTERM before the first one: at once, with the reason', async () => {
    authority.fault({ kind: 'hang' })
    const resident = run('run')
    await until(() => authority.calls[0])
    resident.kill('SIGTERM')
    expect(await resident.exited).toBe(0)
    expect(await pod.terminationMessage()).toBe(
      `Stopped: no ${WHO}: stopped before the first attempt finished`,
    )
  })

  test('killed and started again with the authority down: the same generation stays', async () => {
    const first = run('run')
    expect(await run('wait').exited).toBe(0)
    first.kill('SIGKILL')
    await first.exited
    const before = (await published()).serialNumber
    await authority.stop()
    const second = run('run')
    await line(second, 'certificate requested')
    expect(await run('wait').exited).toBe(0)
    expect((await published()).serialNumber).toBe(before)
    expect(authority.calls).toHaveLength(1)
    second.kill('SIGTERM')
    expect(await second.exited).toBe(0)
  })

  test('`certificate` prints it once, and nothing is written', async () => {
    const { exited, said } = run('certificate')
    expect(await exited).toBe(0)
    const document = parseCertificateDocument(said.stdout)
    recordSecret(document.key)
    const leaf = new X509Certificate(document.certificate)
    expect(leaf.checkPrivateKey(createPrivateKey(document.key))).toBe(true)
    expect(said.stderr).toBe('')
    await expect(readdir(pod.config.tlsFolder)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('`certificate` that fails says why in one line', async () => {
    authority.fault({ kind: 'wrong', what: 'key' })
    const { exited, said } = run('certificate')
    expect(await exited).toBe(1)
    expect(JSON.parse(said.stderr)).toMatchObject({
      code: 'CertificateMismatch',
      message: `no ${WHO}: the certificate is for another key`,
    })
    expect(said.stdout).toBe('')
  })
})

test('a certificate is renewed well before it expires', async () => {
  await arrange(10)
  const resident = run('run')
  expect(await run('wait').exited).toBe(0)
  const first = await published()
  const second = await until(async () => {
    const leaf = await published()
    return leaf.serialNumber === first.serialNumber ? undefined : leaf
  })
  expect(Date.now()).toBeLessThan(first.validToDate.getTime())
  expect(second.validToDate.getTime()).toBeGreaterThan(first.validToDate.getTime())
  expect(resident.lines().filter(({ level }) => level !== 'info')).toEqual([])
})

describe('credentials and a certificate in one sidecar', () => {
  let credentials: Pod
  beforeEach(async () => {
    credentials = await makePod({})
    closing.push(() => rm(join(credentials.config.credentialsFolder, '..'), { recursive: true }))
    await arrange(undefined, credentials)
  })

  test('the gate waits for both, and says which one is missing', async () => {
    const resident = run('run')
    await line(resident, 'certificate published')
    expect(await line(resident, 'exchange failed')).toMatchObject({
      code: 'TokenMissing',
      role: credentials.config.roleArn,
    })
    expect(await line(resident, 'certificate published')).not.toHaveProperty('role')
    await writeFile(credentials.config.terminationMessageFile, 'TokenMissing: no exchange')
    const gate = run('wait')
    expect(await gate.exited).toBe(1)
    expect(gate.said.stderr).toMatch(/^no credentials of arn:.*: TokenMissing/)
  })

  test('a refused certificate stops the sidecar at its start, and the message names the certificate', async () => {
    authority.fault({ kind: 'refusal', status: 403, code: 'namespace-not-enabled', message: 'no' })
    const resident = run('run')
    await until(async () => ((await pod.terminationMessage()) === '' ? undefined : true))
    expect(await pod.terminationMessage()).toMatch(
      /^namespace-not-enabled: the authority refused a certificate for ServiceAccount team-a\/app: no/,
    )
    resident.kill('SIGTERM')
    expect(await resident.exited).toBe(1)
  })
})

describe('a ConfigMap that an attacker replaced', () => {
  let evil: TestAuthority

  /** An attacker answers at the address of the authority, as hostAliases, dnsConfig or a Service can arrange. */
  async function takeOver(): Promise<void> {
    await authority.stop()
    const port = Number(new URL(authority.url).port)
    const who = { clock: realClock, namespace, serviceAccount, isGood: () => true }
    evil = await startAuthority({ ...who, port })
    closing.push(() => evil.stop())
  }

  test.each(['alone', 'appended'])(
    '%s: no renewal, no token and no CA goes its way',
    async (how) => {
      await arrange(15)
      const resident = run('run')
      expect(await run('wait').exited).toBe(0)
      await takeOver()
      const real = authority.trustBundle
      await pod.putTrustBundle(how === 'alone' ? evil.trustBundle : real + evil.trustBundle)
      expect(await line(resident, 'certificate request failed')).toMatchObject({
        code: expect.stringMatching(/CERT|SIGNATURE/),
        class: 'transient',
      })
      expect((await pod.file('ca.crt')).trim()).toBe(real.trim())
      const asked = run('trust-bundle')
      expect(await asked.exited).toBe(1)
      expect(JSON.parse(asked.said.stderr)).toMatchObject({
        message: expect.stringContaining('no trust bundle for ServiceAccount team-a/app: '),
      })
      await until(() => (evil.refusedHandshakes() >= 2 ? true : undefined))
      expect([evil.calls, evil.bundleCalls]).toEqual([[], []])
    },
  )

  test('and a CA in the environment: no token is sent to that server', async () => {
    await arrange()
    await takeOver()
    const file = join(pod.config.authorityFolder, 'evil.crt')
    await writeFile(file, evil.trustBundle)
    const trust = {
      NODE_EXTRA_CA_CERTS: file,
      SSL_CERT_FILE: file,
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    }
    const asked = start(join(dist, 'exchanger.mjs'), 'certificate', { ...pod.env, ...trust })
    running.add(asked)
    expect(await asked.exited).toBe(1)
    expect(asked.said.stdout).toBe('')
    expect(evil.calls).toEqual([])
  })

  test('a restart of the sidecar keeps trusting what was published', async () => {
    await arrange(20)
    const first = run('run')
    expect(await run('wait').exited).toBe(0)
    first.kill('SIGKILL')
    await first.exited
    await takeOver()
    await pod.putTrustBundle(evil.trustBundle)
    const second = run('run')
    await line(second, 'certificate request failed')
    expect(evil.calls).toEqual([])
    expect((await pod.file('ca.crt')).trim()).toBe(authority.trustBundle.trim())
  })
})

describe('a new root of the authority', () => {
  test('is returned by `trust-bundle` while the old one still verifies the authority', async () => {
    await arrange()
    run('run')
    expect(await run('wait').exited).toBe(0)
    authority.giveTrustBundle(authority.trustBundle + authority.trustBundle)
    const asked = run('trust-bundle')
    expect(await asked.exited).toBe(0)
    expect(parseTrustBundle(asked.said.stdout)).toBe(authority.trustBundle.repeat(2))
  })

  test('that this pod missed: the mounted bundle counts again once the certificate has expired', async () => {
    await arrange(8)
    const resident = run('run')
    expect(await run('wait').exited).toBe(0)
    const next = authority.useNewRoot()
    authority.giveTrustBundle(next)
    await pod.putTrustBundle(next)
    await line(resident, 'certificate request failed')
    expect((await pod.file('ca.crt')).trim()).toBe(authority.trustBundle.trim())
    await line(resident, 'certificate expired and removed')
    await until(() =>
      pod
        .file('ca.crt')
        .then((pem) => pem.trim() === next.trim() || undefined)
        .catch(() => undefined),
    )
  })
})

test('`trust-bundle` needs a published bundle, and no token', async () => {
  await arrange()
  const asked = run('trust-bundle')
  expect(await asked.exited).toBe(1)
  expect(JSON.parse(asked.said.stderr)).toMatchObject({ code: 'PublishedUnreadable' })
})

describe('the program of the image', () => {
  /** Not the one of the other tests, whose termination message is where the environment says. */
  let image: string
  beforeAll(async () => {
    image = await mkdtemp(join(tmpdir(), 'nocreds-image-'))
    await bundlePrograms(image, ['exchanger.mjs', 'exchange.mjs', 'certificate.mjs'])
  })
  afterAll(() => rm(image, { recursive: true }))

  function runImage(command: string, env: Readonly<Record<string, string>>): Running {
    const one = start(join(image, 'exchanger.mjs'), command, { ...pod.env, ...env })
    running.add(one)
    return one
  }

  test('ignores the path of the termination message in the environment: that file is neither printed nor written', async () => {
    await arrange()
    const token = join(pod.config.authorityFolder, 'token')
    const env = { NOCREDS_TERMINATION_MESSAGE_FILE: token }
    const gate = runImage('wait', env)
    const bad = runImage('run', { ...env, NOCREDS_COLOUR: 'red' })
    await until(() => bad.said.stderr || undefined)
    authority.fault({ kind: 'refusal', status: 403, code: 'name-not-permitted', message: 'no' })
    const resident = runImage('run', env)
    await line(resident, 'no initial certificate; giving up')
    for (const one of [bad, resident]) one.kill('SIGTERM')
    expect([await bad.exited, await resident.exited]).toEqual([2, 1])
    expect(await readFile(token, 'utf8')).toBe(JWT)
    expect(gate.said).toEqual({ stdout: '', stderr: '' })
  })
})
