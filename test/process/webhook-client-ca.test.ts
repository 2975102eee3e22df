/** Whose callers the admission server lets in. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { realClock, sleep } from '../../shared/base/clock.ts'
import type { RunningServers } from '../../shared/server/servers.ts'
import { parseFlags } from '../../webhook/config.ts'
import { startWebhook } from '../../webhook/run.ts'
import { createCa, issueLeaf, type Issued } from '../../webhook/tls/certificates.ts'
import { podReview, recordedDeps } from '../fakes/webhook-answers.ts'

const OBJECTS = join(import.meta.dirname, '../../tools/demo/cluster/objects.yaml')
const HOUR = { nowMs: Date.now(), lifetimeSeconds: 3600 }

let folder = ''
let serverCa: Issued
let webhook: RunningServers | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-test-'))
  serverCa = await createCa(HOUR)
  const ipAddresses = ['127.0.0.1']
  const leaf = await issueLeaf({ ...HOUR, ca: serverCa, dnsNames: ['localhost'], ipAddresses })
  await writeFile(join(folder, 'tls.crt'), leaf.certPem)
  await writeFile(join(folder, 'tls.key'), leaf.keyPem)
})

afterEach(async () => {
  await webhook?.stop()
  webhook = undefined
  await rm(folder, { recursive: true, force: true })
})

/** Starts it with `client-ca.crt`, which holds this. */
async function start(clientCaPem: string): Promise<RunningServers> {
  await writeFile(join(folder, 'client-ca.crt'), clientCaPem)
  const config = parseFlags([
    ...['--exchanger-image', 'nocreds/exchanger:0.1.0', '--objects', OBJECTS, '--tls', 'files'],
    ...['--tls-cert', join(folder, 'tls.crt'), '--tls-key', join(folder, 'tls.key')],
    ...['--client-ca', join(folder, 'client-ca.crt'), '--port', '0', '--metrics-port', '0'],
  ])
  const { log } = recordedDeps().deps
  webhook = await startWebhook(config, { clock: realClock, random: () => 0, log, kube: undefined })
  return webhook
}

const clientOf = (ca: Issued, usage: 'clientAuth' | 'serverAuth' = 'clientAuth'): Promise<Issued> =>
  issueLeaf({ ...HOUR, ca, dnsNames: ['kube-apiserver'], usage })

/** HTTP status, or the code of the error, of one review by this client. */
async function review({ port }: RunningServers, client?: Issued): Promise<unknown> {
  try {
    return await new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port,
          path: '/mutate/pods',
          method: 'POST',
          ca: serverCa.certPem,
          ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
          headers: { 'content-type': 'application/json' },
          agent: new Agent({ maxCachedSessions: 0 }),
        },
        (response) => {
          text(response).then(() => {
            resolve(response.statusCode)
          }, reject)
        },
      )
      outgoing.on('error', reject)
      outgoing.end(JSON.stringify(podReview()))
    })
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

const REFUSED = expect.stringMatching(/^(ERR_SSL_|ECONNRESET|EPIPE)/) as unknown

test('accepts the apiserver and rejects every other client', async () => {
  const [ca, other] = await Promise.all([createCa(HOUR), createCa(HOUR)])
  const running = await start(ca.certPem)
  expect(await review(running, await clientOf(ca))).toBe(200)
  expect(await review(running)).toEqual(REFUSED)
  expect(await review(running, await clientOf(other))).toEqual(REFUSED)
  expect(await review(running, await clientOf(ca, 'serverAuth'))).toEqual(REFUSED)
  const ended = { ...HOUR, nowMs: Date.now() - 3_600_000, lifetimeSeconds: 60 }
  const expired = await issueLeaf({ ...ended, ca, dnsNames: ['x'], usage: 'clientAuth' })
  expect(await review(running, expired)).toEqual(REFUSED)
  // A refused client does not affect the others; probes need no certificate.
  expect(await review(running, await clientOf(ca))).toBe(200)
  expect((await fetch(`http://127.0.0.1:${running.metricsPort}/readyz`)).status).toBe(200)
})

test('a changed CA is loaded, and a malformed one leaves the old one in use', async () => {
  const [ca, next] = await Promise.all([createCa(HOUR), createCa(HOUR)])
  const running = await start(ca.certPem)
  const client = await clientOf(next)
  expect(await review(running, client)).toEqual(REFUSED)
  await writeFile(join(folder, 'client-ca.crt'), ca.certPem + next.certPem)
  const endMs = Date.now() + 20_000
  let seen = await review(running, client)
  while (seen !== 200 && Date.now() < endMs) {
    await sleep(realClock, 200)
    seen = await review(running, client)
  }
  expect(seen).toBe(200)
  await writeFile(join(folder, 'client-ca.crt'), '')
  await sleep(realClock, 5500)
  expect(await review(running, client)).toBe(200)
  expect(await review(running)).toEqual(REFUSED)
})

test.each([
  ['nothing', () => ''],
  ['garbage', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ['a leaf', async () => (await clientOf(await createCa(HOUR))).certPem],
])('%s in the file is an error at the start', async (_what, pem) => {
  await expect(start(await pem())).rejects.toMatchObject({
    code: 'ERR_USAGE',
    message: expect.stringContaining('--client-ca') as unknown,
  })
})
