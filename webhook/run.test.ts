import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, get, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { realClock, sleep } from '../shared/base/clock.ts'
import type { RunningServers } from '../shared/server/servers.ts'
import { podReview, recordedDeps } from '../test/fakes/webhook-answers.ts'
import { recordSecret } from '../test/leak-check.ts'
import { parseFlags } from './config.ts'
import { startWebhook } from './run.ts'
import { createCa, issueLeaf, type Issued } from './tls/certificates.ts'

const OBJECTS = join(import.meta.dirname, '../tools/demo/cluster/objects.yaml')

let folder = ''
let ca: Issued
let webhook: RunningServers | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-test-'))
  ca = await createCa({ nowMs: Date.now(), lifetimeSeconds: 3600 })
})

afterEach(async () => {
  await webhook?.stop()
  webhook = undefined
  await rm(folder, { recursive: true, force: true })
})

/** Writes a new leaf; gives its serial number. */
async function writeLeaf(): Promise<string> {
  const leaf = await issueLeaf({
    ca,
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    nowMs: Date.now(),
    lifetimeSeconds: 3600,
  })
  recordSecret(leaf.keyPem.split('\n')[1] ?? '')
  await writeFile(join(folder, 'tls.key'), leaf.keyPem)
  await writeFile(join(folder, 'tls.crt'), leaf.certPem)
  return leaf.certPem
}

async function start(): Promise<RunningServers> {
  const config = parseFlags([
    ...['--exchanger-image', 'nocreds/exchanger:0.1.0', '--objects', OBJECTS, '--tls', 'files'],
    ...['--tls-cert', join(folder, 'tls.crt'), '--tls-key', join(folder, 'tls.key')],
    ...['--port', '0', '--metrics-port', '0'],
  ])
  const { log } = recordedDeps().deps
  webhook = await startWebhook(config, { clock: realClock, random: () => 0, log, kube: undefined })
  return webhook
}

interface Reply {
  readonly status: number | undefined
  readonly allowed: boolean
  /** Of the certificate that the server showed. */
  readonly serial: string
}

/** A connection of its own, and no resumed session: that would show no certificate. */
const oneShot = (): Agent => new Agent({ maxCachedSessions: 0 })

function post(port: number, agent = oneShot()): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path: '/mutate/pods?timeout=5s',
      method: 'POST',
      ca: ca.certPem,
      headers: { 'content-type': 'application/json' },
      agent,
    }
    const outgoing = request(options, (response) => {
      const socket = response.socket as unknown as {
        getPeerX509Certificate(): { serialNumber: string } | undefined
      }
      const serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
      text(response).then((body) => {
        const { response: answer } = JSON.parse(body) as { response: { allowed: boolean } }
        resolve({ status: response.statusCode, allowed: answer.allowed, serial })
      }, reject)
    })
    outgoing.on('error', reject)
    outgoing.end(JSON.stringify(podReview()))
  })
}

describe('the webhook, standalone', () => {
  test('answers over TLS, is ready, and shows metrics', async () => {
    await writeLeaf()
    const { port, metricsPort } = await start()
    expect(await post(port)).toMatchObject({ status: 200, allowed: true })
    const ops = `http://127.0.0.1:${metricsPort}`
    expect((await fetch(`${ops}/readyz`)).status).toBe(200)
    expect((await fetch(`${ops}/livez`)).status).toBe(200)
    const metrics = await (await fetch(`${ops}/metrics`)).text()
    expect(metrics).toContain('nocreds_cache_objects{kind="ServiceAccount"} 5')
    expect(metrics).toMatch(/nocreds_webhook_certificate_expiry_timestamp_seconds \d{10}/)
    expect((await fetch(`${ops}/else`)).status).toBe(404)
  })

  test('a certificate is swapped under load without a failed request', async () => {
    await writeLeaf()
    const { port } = await start()
    const keepAlive = new Agent({ keepAlive: true, maxSockets: 4, maxCachedSessions: 0 })
    const serials = new Set<string>()
    let load = true
    const counts: number[] = []
    const worker = async (agent?: Agent): Promise<void> => {
      const own = counts.push(0) - 1
      while (load) {
        const reply = await post(port, agent)
        expect(reply).toMatchObject({ status: 200, allowed: true })
        serials.add(reply.serial)
        counts[own] = (counts[own] ?? 0) + 1
        await sleep(realClock, 5)
      }
    }
    const workers = [worker(), worker(), worker(keepAlive), worker(keepAlive)]
    const isUnderLoad = (): boolean => Math.min(...counts) > 5
    const loadedUntil = Date.now() + 20_000
    while (!isUnderLoad() && Date.now() < loadedUntil) await sleep(realClock, 20)
    await writeLeaf()
    const waitUntil = Date.now() + 20_000
    while (serials.size < 2 && Date.now() < waitUntil) await sleep(realClock, 100)
    load = false
    await Promise.all(workers)
    keepAlive.destroy()
    expect(serials.size).toBe(2)
    expect(isUnderLoad()).toBe(true)
  })

  test('half a pair leaves the old certificate', async () => {
    await writeLeaf()
    const { port } = await start()
    const { serial } = await post(port)
    await writeFile(join(folder, 'tls.crt'), '-----BEGIN CERTIFICATE-----\ngarbage')
    await sleep(realClock, 5500)
    expect(await post(port)).toMatchObject({ status: 200, serial })
  })

  test('speaks TLS 1.2 and 1.3, nothing older', async () => {
    await writeLeaf()
    const { port } = await start()
    const handshake = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> =>
      new Promise((resolve, reject) => {
        const options = {
          port,
          host: '127.0.0.1',
          ca: ca.certPem,
          minVersion: version,
          maxVersion: version,
        }
        const socket = connect({ ...options, ciphers: 'DEFAULT@SECLEVEL=0' }, () => {
          resolve(socket.getProtocol())
          socket.destroy()
        })
        socket.on('error', reject)
      })
    expect(await handshake('TLSv1.2')).toBe('TLSv1.2')
    expect(await handshake('TLSv1.3')).toBe('TLSv1.3')
    await expect(handshake('TLSv1.1')).rejects.toThrow()
  })

  test('becomes unready and closes on stop', async () => {
    await writeLeaf()
    const running = await start()
    webhook = undefined
    await running.stop()
    expect(running.isReady()).toBe(false)
    await expect(
      new Promise((resolve, reject) => {
        get({ port: running.port, host: '127.0.0.1', ca: ca.certPem }, resolve).on('error', reject)
      }),
    ).rejects.toThrow('ECONNREFUSED')
  })

  test('files that cannot be used are named', async () => {
    await expect(start()).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringContaining(join(folder, 'tls.crt')) as unknown,
    })
    await writeLeaf()
    const { keyPem } = await createCa({ nowMs: Date.now(), lifetimeSeconds: 60 })
    await writeFile(join(folder, 'tls.key'), keyPem)
    await expect(start()).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringContaining('the key does not belong to the certificate') as unknown,
    })
  })
})
