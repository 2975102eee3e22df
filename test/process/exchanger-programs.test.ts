import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import { realClock, type Clock } from '../../shared/base/clock.ts'
import { makePod, start, until, type Pod, type Running } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'
import { CONFIG } from '../fakes/exchanger-samples.ts'
import { startIssuer, type Issuer } from '../fakes/issuer.ts'
import { closeAtOnce, listenOnLoopback } from '../fakes/loopback-server.ts'
import { startSts, type Sts } from '../fakes/sts/server.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'
import { throwawayCertificate } from '../fakes/throwaway-certificate.ts'

const MINUTE = 60_000
const { roleArn, namespace, serviceAccount, audience } = CONFIG

let dist: string
let issuer: Issuer
beforeAll(async () => {
  issuer = await startIssuer({ clock: realClock })
  dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  await bundleExchanger(dist)
})

/** All that any process of this file said, and all that it must not have said. */
const outputs: Running['said'][] = []
const secrets = new Set<string>()
const running = new Set<Running>()
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const one of running) {
    one.kill('SIGKILL')
    await one.exited
  }
  running.clear()
  for (const close of closing.splice(0)) await close()
})
afterAll(async () => {
  await issuer.close()
  await rm(dist, { recursive: true })
})

interface Scenario {
  readonly sts: Sts
  readonly pod: Pod
  token(expiresInSeconds?: number): Promise<string>
  run(command: string, env?: Readonly<Record<string, string>>): Running
}

interface ScenarioOptions {
  readonly subject?: string
  readonly lifetimeSeconds?: number
  readonly clock?: Clock
}

async function createScenario(options: ScenarioOptions = {}): Promise<Scenario> {
  const { clock = realClock, lifetimeSeconds } = options
  const { subject = `system:serviceaccount:${namespace}:${serviceAccount}` } = options
  const trust = trustPolicy({ issuer: issuer.url, subject, audience, accountId: '111122223333' })
  const sts = await startSts({
    clock,
    issuers: [issuer],
    roles: [{ arn: roleArn, trust }],
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
  })
  const pod = await makePod({ stsEndpoint: sts.url })
  closing.push(
    () => sts.stop(),
    () => rm(join(pod.config.credentialsFolder, '..'), { recursive: true }),
  )
  const token = async (expiresInSeconds = 3600): Promise<string> => {
    const identity = { namespace, serviceAccount, pod: CONFIG.pod, audience }
    const issuedAt = Math.floor(Date.now() / 1000) - 7200 // good for an STS whose clock is behind, too
    const overrides = { iat: issuedAt, nbf: issuedAt }
    const jwt = await issuer.mintToken({ ...identity, expiresInSeconds, overrides })
    secrets.add(jwt)
    return jwt
  }
  const run: Scenario['run'] = (command, env = {}) => {
    const one = start(join(dist, 'exchanger.mjs'), command, { ...pod.env, ...env })
    outputs.push(one.said)
    running.add(one)
    return one
  }
  await pod.putToken(await token())
  return { sts, pod, token, run }
}

async function published({ pod }: Scenario): Promise<CredentialDocument> {
  const document = await pod.document()
  secrets.add(document.SecretAccessKey).add(document.SessionToken)
  return document
}

const failure = (one: Running): Promise<object> =>
  until(() => one.lines().find(({ msg }) => msg === 'exchange failed'))

let scenario: Scenario

describe('run, wait', () => {
  beforeEach(async () => {
    scenario = await createScenario()
  })

  test('credentials of STS are published, and the sidecar exits at SIGTERM', async () => {
    const early = scenario.run('ready')
    expect(await early.exited).toBe(1)
    expect(early.said.stderr).toMatch(/^no credentials of arn:.* yet\n$/)
    const resident = scenario.run('run')
    expect(await scenario.run('wait').exited).toBe(0)
    expect(await scenario.run('ready').exited).toBe(0)
    const document = await published(scenario)
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = document
    const client = new STSClient({
      region: 'us-east-1',
      endpoint: scenario.sts.url,
      credentials: { accessKeyId, secretAccessKey, sessionToken: document.SessionToken },
    })
    const { Arn } = await client.send(new GetCallerIdentityCommand({}))
    client.destroy()
    expect(Arn).toBe('arn:aws:sts::111122223333:assumed-role/app/team-a.app')
    expect(await readdir(scenario.pod.config.credentialsFolder)).toEqual([
      '.gate-opened',
      'config',
      'credentials.json',
    ])
    resident.kill('SIGTERM')
    expect(await resident.exited).toBe(0)
    expect(await scenario.pod.terminationMessage()).toBe('')
    expect(resident.lines().map(({ msg }) => msg)).toEqual([
      'exchanger started',
      'credentials published',
    ])
    expect(resident.said.stderr).toBe('')
  })

  test('STS cannot fetch the keys of the issuer once: retried, and the gate stays closed', async () => {
    const code = 'InvalidIdentityToken'
    scenario.sts.fault({ kind: 'http', status: 400, code, message: "Couldn't retrieve …" })
    const resident = scenario.run('run')
    const gate = scenario.run('wait')
    const hint = expect.stringContaining('oidc-provider/')
    expect(await failure(resident)).toMatchObject({ code, class: 'transient', hint })
    scenario.sts.fault(undefined)
    expect([await gate.exited, await published(scenario)]).toMatchObject([0, { Version: 1 }])
  })

  test('STS down at start: waited for', async () => {
    await scenario.sts.stop()
    const resident = scenario.run('run')
    const gate = scenario.run('wait')
    expect(await failure(resident)).toMatchObject({ code: 'ECONNREFUSED', class: 'transient' })
    await scenario.sts.start()
    expect(await gate.exited).toBe(0)
  })

  test('SIGTERM before the first credentials: at once, with the reason, the exchange ended', async () => {
    scenario.sts.fault({ kind: 'hang' })
    const resident = scenario.run('run')
    await until(() => scenario.sts.calls[0])
    const children = `/proc/${resident.pid}/task/${resident.pid}/children`
    const child = (await readFile(children, 'utf8')).trim()
    expect(child).toMatch(/^\d+$/)
    resident.kill('SIGTERM')
    expect(await resident.exited).toBe(0)
    expect(await scenario.pod.terminationMessage()).toBe(
      'Stopped: no exchange of arn:aws:iam::111122223333:role/app for ServiceAccount team-a/app: stopped before the first attempt finished',
    )
    await until(async () => ((await isAlive(child)) ? undefined : true))
  })

  test('token missing or expired at start: the new one is waited for', async () => {
    const other = await createScenario()
    await rm(scenario.pod.config.tokenFile)
    await other.pod.putToken(await other.token(-60))
    const [missing, expired] = [scenario.run('run'), other.run('run')]
    expect(await failure(missing)).toMatchObject({ code: 'TokenMissing', class: 'token' })
    expect(await failure(expired)).toMatchObject({ code: 'ExpiredTokenException', class: 'token' })
    for (const one of [scenario, other]) await one.pod.putToken(await one.token())
    expect(await Promise.all([scenario, other].map((one) => one.run('wait').exited))).toEqual([
      0, 0,
    ])
  })

  test('killed and restarted with STS down: nothing is lost', async () => {
    const first = scenario.run('run')
    expect(await scenario.run('wait').exited).toBe(0)
    const document = await published(scenario)
    first.kill('SIGKILL')
    await first.exited
    await scenario.sts.stop()
    const second = scenario.run('run')
    await until(() => second.lines()[0])
    expect(await scenario.run('wait').exited).toBe(0)
    expect(await scenario.pod.document()).toEqual(document)
    second.kill('SIGINT')
    expect(await second.exited).toBe(0)
  })
})

async function isAlive(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return status !== undefined && !status.includes(') Z ')
}

test('refused: exit code 1, and the reason in log and termination message', async () => {
  scenario = await createScenario({ subject: 'system:serviceaccount:team-b:other' })
  const resident = scenario.run('run')
  const gate = scenario.run('wait')
  expect(await gate.exited).toBe(1)
  resident.kill('SIGTERM')
  expect(await resident.exited).toBe(1)
  const reason =
    'STS refused arn:aws:iam::111122223333:role/app for ServiceAccount team-a/app: Not authorized to perform sts:AssumeRoleWithWebIdentity'
  const provider = issuer.url.slice('https://'.length)
  const hint = expect.stringContaining(
    `${provider}:sub = system:serviceaccount:team-a:app and ${provider}:aud = sts.amazonaws.com`,
  )
  expect(await failure(resident)).toMatchObject({
    code: 'AccessDenied',
    class: 'refused',
    role: roleArn,
    namespace,
    serviceAccount,
    attempt: 1,
    error: reason,
    hint,
  })
  const message = await scenario.pod.terminationMessage()
  expect(message).toContain(`AccessDenied: ${reason}. Hint: `)
  expect(gate.said.stderr).toContain(message)
  expect(message).toEqual(hint)
})

test('STS down for longer than the lifetime: removed on expiry, published again once STS is back', async () => {
  scenario = await createScenario({ lifetimeSeconds: 8 })
  const resident = scenario.run('run')
  expect(await scenario.run('wait').exited).toBe(0)
  const first = await published(scenario)
  await until(() => (resident.lines().length >= 3 ? true : undefined)) // a refresh ahead of the end
  const second = await published(scenario)
  expect(second.AccessKeyId).not.toBe(first.AccessKeyId)
  await scenario.sts.stop()
  await until(() =>
    scenario.pod.document().then(
      () => undefined,
      () => true,
    ),
  )
  expect(Date.now()).toBeGreaterThanOrEqual(expirationOf(second))
  await scenario.sts.start()
  const third = await until(() => published(scenario).catch(() => undefined))
  expect(expirationOf(third)).toBeGreaterThan(Date.now())
  expect(resident.lines().map(({ msg }) => msg)).toContain('credentials expired and removed')
})

test('token rotated during an exchange: the new one is used next', async () => {
  scenario = await createScenario({ lifetimeSeconds: 8 })
  scenario.sts.fault({ kind: 'slow', delayMs: 500 })
  const resident = scenario.run('run')
  await until(() => scenario.sts.calls[0])
  await issuer.rotateKey()
  await scenario.pod.putToken(await scenario.token())
  await until(() => (scenario.sts.calls.length >= 3 ? true : undefined))
  expect(new Set(scenario.sts.calls.map(({ outcome }) => outcome))).toEqual(new Set(['success']))
  expect(resident.lines().filter(({ msg }) => msg === 'exchange failed')).toEqual([])
})

describe('exchange', () => {
  beforeEach(async () => {
    scenario = await createScenario()
  })

  test('is a credential process of its own', async () => {
    const one = scenario.run('exchange')
    expect(await one.exited).toBe(0)
    outputs.pop() // here the document is what it is asked for
    const document = JSON.parse(one.said.stdout) as CredentialDocument
    expect(document).toMatchObject({ Version: 1, AccountId: '111122223333' })
    expect(one.said.stderr).toBe('')
    expect(scenario.sts.calls).toMatchObject([
      { sessionName: 'team-a.app', durationSeconds: 3600, outcome: 'success' },
    ])
  })

  test('does not read what a user configured for AWS', async () => {
    const home = join(scenario.pod.config.credentialsFolder, '..', 'home')
    await mkdir(join(home, '.aws'), { recursive: true })
    const config =
      '[default]\nregion = nowhere\nuse_fips_endpoint = nonsense\ndefaults_mode = nonsense\n'
    await writeFile(join(home, '.aws', 'config'), config)
    const one = scenario.run('exchange', {
      HOME: home,
      AWS_CONFIG_FILE: join(home, '.aws', 'config'),
    })
    outputs.pop()
    expect([await one.exited, one.said.stderr]).toEqual([0, ''])
  })

  test.each([
    [{ kind: 'garbage' }, 'MalformedResponse', 'transient'],
    [{ kind: 'truncated' }, 'MalformedResponse', 'transient'],
    [{ kind: 'reset' }, 'ECONNRESET', 'transient'],
    [
      { kind: 'http', status: 503, code: 'ServiceUnavailable', message: 'm' },
      'ServiceUnavailable',
      'transient',
    ],
    [
      { kind: 'http', status: 500, code: 'InternalFailure', message: 'm' },
      'InternalFailure',
      'transient',
    ],
    [
      { kind: 'http', status: 400, code: 'Throttling', message: 'Rate exceeded' },
      'Throttling',
      'transient',
    ],
    [
      { kind: 'http', status: 400, code: 'IDPCommunicationError', message: 'm' },
      'IDPCommunicationError',
      'transient',
    ],
    [
      { kind: 'http', status: 400, code: 'ExpiredTokenException', message: 'm' },
      'ExpiredTokenException',
      'token',
    ],
    [
      { kind: 'http', status: 403, code: 'IDPRejectedClaim', message: 'm' },
      'IDPRejectedClaim',
      'refused',
    ],
    [
      { kind: 'http', status: 403, code: 'RegionDisabledException', message: 'm' },
      'RegionDisabledException',
      'refused',
    ],
    [
      { kind: 'http', status: 400, code: 'ValidationError', message: 'm' },
      'ValidationError',
      'refused',
    ],
  ] as const)('%j → %s, %s, after one request', async (fault, code, failureClass) => {
    scenario.sts.fault(fault)
    const one = scenario.run('exchange')
    expect(await one.exited).toBe(1)
    expect(one.said.stdout).toBe('')
    expect(JSON.parse(one.said.stderr)).toMatchObject({ code, class: failureClass })
    expect(one.said.stderr).toContain(
      'arn:aws:iam::111122223333:role/app for ServiceAccount team-a/app',
    )
    expect(scenario.sts.calls).toHaveLength(1)
  })
})

test.each([-10, 10])(
  'STS`s clock %d minutes off the node`s: the remaining lifetime is right',
  async (minutes) => {
    const now = (): number => realClock.now() + minutes * MINUTE
    scenario = await createScenario({ clock: { ...realClock, now } })
    const before = Date.now()
    scenario.run('run')
    expect(await scenario.run('wait').exited).toBe(0)
    const endMs = expirationOf(await published(scenario))
    expect(endMs).toBeGreaterThan(before + 55 * MINUTE - 3000) // two of them in the Date header's seconds
    expect(endMs).toBeLessThanOrEqual(Date.now() + 55 * MINUTE + 1000)
  },
)

test('an STS without a certificate of a public CA gets no token, wherever DNS leads', async () => {
  scenario = await createScenario()
  const { certPem: cert, keyPem: key } = await throwawayCertificate(['127.0.0.1'])
  let asked = 0
  let refused = 0
  const server = createServer({ cert, key }, (_request, response) => {
    asked += 1
    response.end()
  })
  server.on('tlsClientError', () => (refused += 1))
  const port = await listenOnLoopback(server, 0)
  closing.push(() => closeAtOnce(server))
  const one = scenario.run('exchange', { NOCREDS_STS_ENDPOINT: `https://127.0.0.1:${port}` })
  expect(await one.exited).toBe(1)
  expect(JSON.parse(one.said.stderr)).toMatchObject({ class: 'transient' })
  await until(() => (refused > 0 ? true : undefined))
  expect(asked).toBe(0)
})

test('no secret in the output of these processes', () => {
  expect(secrets.size).toBeGreaterThan(20)
  const text = outputs.map(({ stdout, stderr }) => stdout + stderr).join('\n')
  expect(text.length).toBeGreaterThan(10_000)
  for (const secret of secrets) expect(text.includes(secret)).toBe(false)
})
