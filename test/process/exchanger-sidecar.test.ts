/** The sidecar as a kubelet runs it: the built programs, a token volume, the gate as postStart hook. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { parseCredentialDocument, type CredentialDocument } from '../../contract/credentials.ts'
import { CREDENTIALS_IN_POD, toEnv } from '../../contract/exchanger-env.ts'
import { CREDENTIALS_VOLUME, ENDPOINT, EXCHANGER, TOKEN_VOLUME } from '../../contract/names.ts'
import { realClock } from '../../shared/base/clock.ts'
import { listen } from '../../shared/base/server.ts'
import { until } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'
import { CONFIG, type LogLine } from '../fakes/exchanger-samples.ts'
import { startIssuer, type Issuer } from '../fakes/issuer.ts'
import { startContainer, type RunningContainer } from '../fakes/kubelet-containers.ts'
import type { KubeletPod } from '../fakes/kubelet-pod.ts'
import { preparePod, type PreparedPod } from '../fakes/kubelet-volumes.ts'
import { startSts, type Sts } from '../fakes/sts/server.ts'
import { trustPolicy } from '../fakes/sts/trust-policy.ts'
import { recordSecret } from '../leak-check.ts'

const PATH = `${dirname(process.execPath)}:/usr/bin:/bin`
const SUBJECT = 'system:serviceaccount:team-a:app'
const { roleArn, audience, namespace, serviceAccount } = CONFIG

let folder: string
let issuer: Issuer
let sts: Sts
let prepared: PreparedPod
const running: RunningContainer[] = []

/** Everything that was said or left behind by any process of this file, and what must not be in it. */
const said: string[] = []
const secrets = new Set<string>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-sidecar-'))
  const real = await startIssuer({ clock: realClock })
  issuer = {
    ...real,
    async mintToken(request) {
      const jwt = await real.mintToken(request)
      secrets.add(jwt)
      return jwt
    },
  }
  await bundleExchanger(join(folder, 'image'))
})
afterAll(async () => {
  await issuer.close()
  await rm(folder, { recursive: true })
})

/** STS trusts the subject and issues short-lived credentials; the pod's volumes are there. */
async function arrange(delivery: 'process' | 'endpoint', subject = SUBJECT): Promise<void> {
  const trust = trustPolicy({ issuer: issuer.url, subject, audience, accountId: '111122223333' })
  sts = await startSts({
    clock: realClock,
    issuers: [issuer],
    roles: [{ arn: roleArn, trust }],
    lifetimeSeconds: 8,
  })
  const podFolder = await mkdtemp(join(folder, 'pod-'))
  prepared = await preparePod(podWith(delivery), {
    folder: podFolder,
    issuer,
    clock: realClock,
  })
}

afterEach(async () => {
  for (const container of running.splice(0)) {
    container.process.kill('SIGKILL')
    const { terminationMessage } = await container.exited
    said.push(...container.stdout, ...container.stderr, terminationMessage)
  }
  await prepared.close()
  await sts.stop()
})

function podWith(delivery: 'process' | 'endpoint'): KubeletPod {
  const env = toEnv({ ...CONFIG, delivery, stsEndpoint: sts.url, ...CREDENTIALS_IN_POD })
  const serviceAccountToken = { audience, expirationSeconds: 3600, path: TOKEN_VOLUME.path }
  return {
    metadata: { name: CONFIG.pod, namespace },
    spec: {
      serviceAccountName: serviceAccount,
      volumes: [
        { name: TOKEN_VOLUME.name, projected: { sources: [{ serviceAccountToken }] } },
        { name: CREDENTIALS_VOLUME.name, emptyDir: { medium: 'Memory' } },
      ],
      initContainers: [
        {
          name: EXCHANGER.container,
          command: [...EXCHANGER.program, 'run'],
          env,
          volumeMounts: [TOKEN_VOLUME, CREDENTIALS_VOLUME],
          lifecycle: { postStart: { exec: { command: [...EXCHANGER.program, 'wait'] } } },
          terminationMessagePath: EXCHANGER.terminationMessagePath,
        },
      ],
      containers: [],
    },
  }
}

async function startSidecar(): Promise<RunningContainer> {
  const container = await startContainer({
    prepared,
    container: EXCHANGER.container,
    imageRoot: { '/nocreds/': join(folder, 'image') },
    path: PATH,
  })
  running.push(container)
  return container
}

/** A file on the credentials volume; undefined if absent. */
function onVolume(name: string): Promise<string | undefined> {
  const file = join(prepared.volumes.get(CREDENTIALS_VOLUME.name)!, name)
  return readFile(file, 'utf8').catch(() => undefined)
}

/** @throws if the document is incomplete. */
async function published(): Promise<CredentialDocument | undefined> {
  const text = await onVolume('credentials.json')
  if (text === undefined) return undefined
  const document = parseCredentialDocument(text)
  secrets.add(document.AccessKeyId).add(document.SecretAccessKey).add(document.SessionToken)
  return document
}

const lines = ({ stdout }: RunningContainer): LogLine[] =>
  stdout.map((line) => JSON.parse(line) as LogLine)

describe('delivery by process', () => {
  beforeEach(() => arrange('process'))

  test('the gate opens once credentials exist, and the app gets them as an SDK does', async () => {
    const sidecar = await startSidecar()
    expect(await sidecar.postStart).toEqual({ code: 0, signal: null, output: '' })
    const config = (await onVolume('config'))!
    const [, command = ''] = /^\[default\]\ncredential_process = (.*)$/m.exec(config)!
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command])
    expect(parseCredentialDocument(stdout)).toMatchObject({ AccountId: '111122223333' })
    await published()
    expect((await sidecar.stop()).code).toBe(0)
  })

  test('each token of the kubelet is used, and credentials are replaced before they expire', async () => {
    const sidecar = await startSidecar()
    await sidecar.postStart
    const first = (await published())!
    await issuer.rotateKey()
    await prepared.rotateToken()
    const second = await until(async () => {
      const now = await published()
      return now?.AccessKeyId === first.AccessKeyId ? undefined : now
    })
    expect(Date.now()).toBeLessThan(Date.parse(first.Expiration))
    expect(second.Expiration > first.Expiration).toBe(true)
    expect(sts.calls.map(({ outcome }) => outcome)).toEqual(['success', 'success'])
    expect(lines(sidecar).filter(({ level }) => level !== 'info')).toEqual([])
  })

  test('STS hangs: the sidecar exits at SIGTERM at once, with the reason', async () => {
    sts.fault({ kind: 'hang' })
    const sidecar = await startSidecar()
    await until(() => sts.calls[0])
    const { code, terminationMessage } = await sidecar.stop()
    expect(code).toBe(0)
    expect(terminationMessage).toContain(`${roleArn} for ServiceAccount team-a/app`)
    // Ended with the container, or by the reason that it left.
    expect((await sidecar.postStart)?.code).not.toBe(0)
  })

  test('killed at any moment and restarted: a reader never sees half a document', async () => {
    const seen = new Set<string>()
    const over = new AbortController()
    let reads = 0
    const reader = (async () => {
      for (; !over.signal.aborted; reads += 1) {
        const document = await published()
        if (document !== undefined) seen.add(document.AccessKeyId)
        await pause(1)
      }
    })()
    for (let kill = 0; kill < 10; kill += 1) {
      const known = seen.size
      const sidecar = await startSidecar()
      // Half of them around their publishing, the others anywhere before it.
      if (kill % 2 === 0) await until(() => (seen.size > known ? true : undefined))
      else await pause(60 * kill)
      sidecar.process.kill('SIGKILL')
      expect(await sidecar.exited).toMatchObject({ signal: 'SIGKILL' })
    }
    over.abort()
    await reader
    expect(seen.size).toBeGreaterThanOrEqual(5)
    expect(reads).toBeGreaterThan(100)
    const last = await startSidecar()
    expect(await last.postStart).toMatchObject({ code: 0 })
    // The gate may open before the config is written again: these credentials are good already.
    await until(async () => {
      const left = await readdir(prepared.volumes.get(CREDENTIALS_VOLUME.name)!)
      return left.join() === '.gate-opened,config,credentials.json' ? true : undefined
    })
  })
})

test('refused by the trust policy: exit code 1, and the reason in log, termination message and gate', async () => {
  await arrange('process', 'system:serviceaccount:team-b:other')
  const sidecar = await startSidecar()
  // The process outlives its gate: the kubelet ends a container, and never finds one that has just ended.
  const gate = await sidecar.postStart
  const { code, terminationMessage } = await sidecar.exited
  expect(gate).toMatchObject({ code: 1, signal: null })
  expect(gate?.output).toContain(terminationMessage)
  expect(code).toBe(1)
  expect(terminationMessage).toMatch(
    /^AccessDenied: STS refused arn:aws:iam::111122223333:role\/app for ServiceAccount team-a\/app: /,
  )
  const provider = issuer.url.replace('https://', '')
  const hint = [`oidc-provider/${provider} `, `${provider}:sub = ${SUBJECT}`, `:aud = ${audience}`]
  for (const part of hint) expect(terminationMessage).toContain(part)
  expect(lines(sidecar)).toContainEqual(
    expect.objectContaining({
      msg: 'exchange failed',
      code: 'AccessDenied',
      class: 'refused',
      role: roleArn,
      namespace,
      serviceAccount,
      attempt: 1,
    }),
  )
})

describe('delivery by endpoint', () => {
  const url = `http://${ENDPOINT.host}:${ENDPOINT.port}${ENDPOINT.path}`

  /** The port is a part of the contract, so a demo on the same machine may hold it for a moment. */
  async function ifFree(port: number): Promise<true | undefined> {
    const server = createServer()
    try {
      await listen(server, port, ENDPOINT.host)
      return true
    } catch {
      return undefined
    } finally {
      server.close()
    }
  }

  async function ask(authorization: string): Promise<Response | undefined> {
    const headers = { authorization, connection: 'close' }
    return fetch(url, { headers }).catch(() => undefined)
  }

  test('503 until credentials exist, then the credentials; a restart keeps the authorization', async () => {
    await arrange('endpoint')
    await until(() => ifFree(ENDPOINT.port))
    sts.fault({ kind: 'hang' })
    const first = await startSidecar()
    const authorization = await until(() => onVolume('authorization'))
    secrets.add(authorization)
    recordSecret(authorization)
    const early = await until(() => ask(authorization))
    expect([early.status, early.headers.get('content-type')]).toEqual([503, 'application/json'])
    expect(await early.json()).toEqual({ code: 'NoCredentials', message: expect.any(String) })
    expect((await ask('wrong'))?.status).toBe(401)
    first.process.kill('SIGKILL')
    await first.exited

    sts.fault(undefined)
    const second = await startSidecar()
    expect(await second.postStart).toMatchObject({ code: 0 })
    expect(await onVolume('authorization')).toBe(authorization)
    const good = await until(() => ask(authorization))
    expect(good.status).toBe(200)
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration, AccountId } =
      (await published())!
    const body = { AccessKeyId, SecretAccessKey, Token: SessionToken, Expiration, AccountId }
    expect(await good.json()).toEqual(body)
    expect((await second.stop()).code).toBe(0)
    expect(await ask(authorization)).toBeUndefined()
  })
})

test('no secret in the output of these processes', () => {
  const text = said.join('\n')
  expect(text).toContain('credentials published')
  expect(text).toContain('AccessDenied')
  expect(secrets.size).toBeGreaterThan(20)
  for (const secret of secrets) expect(text.includes(secret)).toBe(false)
  expect(text).not.toMatch(/\beyJ/)
})
