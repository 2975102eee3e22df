/** A sidecar whose pod has a role for each container: the built programs, and an STS that knows all of them. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { awsConfigFile } from '../../contract/config-file.ts'
import { slotOf } from '../../contract/container-roles.ts'
import { parseCredentialDocument } from '../../contract/credentials.ts'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { ENDPOINT } from '../../contract/names.ts'
import { runSidecar } from '../../exchanger/sidecar/run.ts'
import { realClock } from '../../shared/base/clock.ts'
import { makePod, start, until, type Pod, type Running } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'
import { collectingLog, CONFIG } from '../fakes/exchanger-samples.ts'
import { startIssuer, type Issuer } from '../fakes/issuer.ts'
import { startSts, type Sts } from '../fakes/sts/server.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'

const { roleArn, namespace, serviceAccount, audience } = CONFIG
const BACKUP = 'arn:aws:iam::111122223333:role/backup'
const REPORTS = 'arn:aws:iam::444455556666:role/reports'
const ROLES = [roleArn, BACKUP, REPORTS]

let dist: string
let issuer: Issuer
beforeAll(async () => {
  issuer = await startIssuer({ clock: realClock })
  dist = await mkdtemp(join(tmpdir(), 'nocreds-containers-'))
  await bundleExchanger(dist)
})
afterAll(async () => {
  await issuer.close()
  await rm(dist, { recursive: true })
})

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function trustIn(role: string, account = serviceAccount) {
  const subject = `system:serviceaccount:${namespace}:${account}`
  return trustPolicy({ issuer: issuer.url, subject, audience, accountId: role.split(':')[4]! })
}

async function startStsFor(lifetimeSeconds?: number): Promise<Sts> {
  const sts = await startSts({
    clock: realClock,
    issuers: [issuer],
    roles: ROLES.map((arn) => ({ arn, trust: trustIn(arn) })),
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
  })
  closing.push(() => sts.stop())
  return sts
}

async function makePodWith(settings: Partial<CredentialsConfig>): Promise<Pod> {
  const pod = await makePod({ containerRoleArns: [BACKUP, REPORTS], ...settings })
  closing.push(() => rm(join(pod.config.credentialsFolder, '..'), { recursive: true }))
  const bound = { namespace, serviceAccount, pod: CONFIG.pod, audience, expiresInSeconds: 3600 }
  await pod.putToken(await issuer.mintToken(bound))
  return pod
}

function run(pod: Pod, command: string): Running {
  const program = start(join(dist, 'exchanger.mjs'), command, pod.env)
  closing.push(async () => {
    program.kill('SIGKILL')
    await program.exited
  })
  return program
}

/** The sidecar in this process, whose exchanges are the real programs: other tests use the port of the image. */
function runOnAnyPort({ config, env }: Pod): () => unknown {
  const stop = new AbortController()
  const { log, lines } = collectingLog()
  const exited = runSidecar(
    { credentials: config, certificate: undefined },
    {
      clock: realClock,
      random: Math.random,
      randomBytes,
      log: () => log,
      exchange: { program: process.execPath, args: [join(dist, 'exchange.mjs')], env },
      certificate: { program: '/nowhere', args: [], env: {} },
      endpointPort: 0,
      terminationMessageFile: config.terminationMessageFile,
      releaseMemory: () => undefined,
      signal: stop.signal,
    },
  )
  closing.push(() => {
    stop.abort()
    return exited
  })
  return () => lines.find(({ msg }) => msg === 'endpoint listening')?.['port']
}

const folderOf = ({ config }: Pod, slot: number): string =>
  slotOf(slot, config.credentialsFolder).folder
const fileOf = (pod: Pod, slot: number, name: string): Promise<string> =>
  readFile(join(folderOf(pod, slot), name), 'utf8')

/** The role of the session whose credentials the folder has; undefined if it has none. */
async function roleIn(sts: Sts, pod: Pod, slot: number): Promise<string | undefined> {
  const text = await fileOf(pod, slot, 'credentials.json').catch(() => undefined)
  if (text === undefined) return undefined
  const { AccessKeyId } = parseCredentialDocument(text)
  return sts.sessions().find(({ accessKeyId }) => accessKeyId === AccessKeyId)?.roleArn
}

async function ask(port: unknown, path: string, authorization: string) {
  const headers = { authorization, connection: 'close' }
  const response = await fetch(`http://${ENDPOINT.host}:${String(port)}${path}`, { headers })
  return { status: response.status, body: await response.text() }
}

/** A sidecar that starts while one role is refused and the app runs. */
async function servesOthersAgain(sidecar: Running): Promise<void> {
  const sayOf = (msg: string, role: string) => () =>
    sidecar.lines().find((line) => line.msg === msg && line['role'] === role)
  expect(await until(sayOf('exchange failed', BACKUP))).toMatchObject({ class: 'refused' })
  for (const role of [roleArn, REPORTS]) await until(sayOf('credentials published', role))
}

describe('three roles', () => {
  test('by process: each folder has the credentials of its role, and nothing of another', async () => {
    const sts = await startStsFor()
    const pod = await makePodWith({ stsEndpoint: sts.url })
    const sidecar = run(pod, 'run')
    expect(await run(pod, 'wait').exited).toBe(0)
    expect(await run(pod, 'ready').exited).toBe(0)
    expect(sts.calls.map((call) => call.roleArn)).toEqual(ROLES)
    for (const [slot, role] of ROLES.entries()) {
      expect((await readdir(folderOf(pod, slot))).toSorted()).toEqual([
        ...(slot === 0 ? ['.gate-opened'] : []),
        'config',
        'credentials.json',
      ])
      expect(await roleIn(sts, pod, slot)).toBe(role)
      // All containers mount their volume at the same path.
      expect(await fileOf(pod, slot, 'config')).toBe(awsConfigFile(pod.config.credentialsFolder))
      const text = await fileOf(pod, slot, 'credentials.json')
      for (const session of sts.sessions())
        expect(text.includes(session.secretAccessKey)).toBe(session.roleArn === role)
    }
    const published = sidecar.lines().filter(({ msg }) => msg === 'credentials published')
    expect(published.map(({ role }) => role)).toEqual(ROLES)
    expect(sidecar.lines()[0]).toMatchObject({ msg: 'exchanger started', roles: ROLES.join(' ') })
  }, 30_000)

  test('by endpoint: each path serves its role, to those who have its authorization', async () => {
    const sts = await startStsFor()
    const pod = await makePodWith({ stsEndpoint: sts.url, delivery: 'endpoint' })
    const port = runOnAnyPort(pod)
    const gate = run(pod, 'wait')
    expect([await gate.exited, gate.said.stderr]).toEqual([0, ''])
    const authorizations = await Promise.all(
      ROLES.map((_, slot) => fileOf(pod, slot, 'authorization')),
    )
    expect(new Set(authorizations).size).toBe(ROLES.length)
    for (const [slot, role] of ROLES.entries())
      for (const [other, authorization] of authorizations.entries()) {
        const { status, body } = await ask(port(), slotOf(slot).endpointPath, authorization)
        expect([slot, other, status]).toEqual([slot, other, slot === other ? 200 : 401])
        for (const { roleArn: of, secretAccessKey } of sts.sessions())
          expect(body.includes(secretAccessKey)).toBe(slot === other && of === role)
      }
    expect(await ask(port(), `${ENDPOINT.path}/3`, authorizations[0]!)).toMatchObject({
      status: 404,
    })
  }, 30_000)

  test('one of which is refused: the pod does not start, and is told which one', async () => {
    const sts = await startStsFor()
    sts.setTrust(BACKUP, trustIn(BACKUP, 'somebody-else'))
    const pod = await makePodWith({ stsEndpoint: sts.url })
    const sidecar = run(pod, 'run')
    const gate = run(pod, 'wait')
    expect(await gate.exited).toBe(1)
    const ofBackup = `${BACKUP} for ServiceAccount team-a/app`
    expect(gate.said.stderr).toMatch(
      new RegExp(
        `^no credentials of ${ofBackup}: AccessDenied: STS refused ${ofBackup}: .* Hint: `,
      ),
    )
    expect(await pod.terminationMessage()).toContain(`AccessDenied: STS refused ${ofBackup}: `)
    const ready = run(pod, 'ready')
    expect([await ready.exited, ready.said.stderr]).toEqual([
      1,
      `no credentials of ${ofBackup} yet\n`,
    ])
    sidecar.kill('SIGTERM')
    expect(await sidecar.exited).toBe(1)
    const gaveUp = sidecar.lines().find(({ msg }) => msg === 'no initial credentials; giving up')
    expect(gaveUp).toMatchObject({ role: BACKUP, code: 'AccessDenied' })
  }, 30_000)

  test('one of which is refused later: it alone is withdrawn, and the others are replaced', async () => {
    const sts = await startStsFor(6)
    const pod = await makePodWith({ stsEndpoint: sts.url })
    const sidecar = run(pod, 'run')
    expect(await run(pod, 'wait').exited).toBe(0)
    sts.setTrust(BACKUP, trustIn(BACKUP, 'somebody-else'))
    const times = (role: string): number =>
      sidecar
        .lines()
        .filter((line) => line.msg === 'credentials published' && line['role'] === role).length
    const withdrawn = await until(() =>
      sidecar.lines().find(({ msg }) => msg === 'credentials expired and removed'),
    )
    expect(withdrawn['role']).toBe(BACKUP)
    const before = ROLES.map(times)
    await until(() => (times(roleArn) > before[0]! && times(REPORTS) > before[2]!) || undefined)
    expect(times(BACKUP)).toBe(before[1])
    expect(await roleIn(sts, pod, 1)).toBeUndefined()
    expect(await roleIn(sts, pod, 2)).toBe(REPORTS)
    expect(await pod.terminationMessage()).toBe('')
    sidecar.kill('SIGKILL')
    await sidecar.exited
    await servesOthersAgain(run(pod, 'run'))
    expect(await run(pod, 'ready').exited).toBe(0)
    expect(await pod.terminationMessage()).toBe('')
  }, 60_000)

  test('beside a target role: the sidecar says what to remove, and asks STS for nothing', async () => {
    const sts = await startStsFor()
    const pod = await makePodWith({ stsEndpoint: sts.url, targetRoleArn: `${REPORTS}-2` })
    const sidecar = run(pod, 'run')
    await until(async () => ((await pod.terminationMessage()) === '' ? undefined : true))
    expect(await pod.terminationMessage()).toContain(
      'ERR_ENV_CONFLICT: variable NOCREDS_CONTAINER_ROLE_ARNS and NOCREDS_TARGET_ROLE_ARN are both set',
    )
    sidecar.kill('SIGTERM')
    expect(await sidecar.exited).toBe(2)
    expect(sts.calls).toEqual([])
  }, 30_000)
})
