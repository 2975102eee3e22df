import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import { createKubeClient } from '../../shared/server/kube/kube.ts'
import { parseFlags, type WebhookConfig } from '../../webhook/config.ts'
import { startWebhook } from '../../webhook/run.ts'
import { createCa } from '../../webhook/tls/certificates.ts'
import { FakeApiserver } from '../fakes/apiserver.ts'
import { eventually } from '../fakes/eventually.ts'
import { VirtualClock } from '../fakes/virtual-clock.ts'
import { recordedDeps } from '../fakes/webhook-answers.ts'
import { recordSecret } from '../leak-check.ts'

let folder = ''
let api: FakeApiserver

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-test-'))
  api = await new FakeApiserver().start()
})

afterEach(async () => {
  await api.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Flags of a webhook with a certificate of its own. */
async function configOf(...flags: string[]): Promise<WebhookConfig> {
  const { certPem, keyPem } = await createCa({ nowMs: Date.now(), lifetimeSeconds: 3600 })
  recordSecret(keyPem.split('\n')[1] ?? '')
  await writeFile(join(folder, 'tls.crt'), certPem)
  await writeFile(join(folder, 'tls.key'), keyPem)
  return parseFlags([
    ...['--exchanger-image', 'nocreds/exchanger:0.1.0', '--tls', 'files'],
    ...['--tls-cert', join(folder, 'tls.crt'), '--tls-key', join(folder, 'tls.key')],
    ...['--port', '0', '--metrics-port', '0', ...flags],
  ])
}

function connected(): KubeClient {
  const cluster = new KubeConfig()
  cluster.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook' },
  )
  return createKubeClient(cluster)
}

test('the webhook serves nothing before the certificate source is selected', async () => {
  const config = await configOf()
  const questions = (): number =>
    api.requests.filter(({ path }) => path === '/apis/certificates.k8s.io/v1').length
  api.fault = ({ path }) => (path.startsWith('/apis/') ? 503 : undefined)
  const clock = new VirtualClock(Date.now())
  const { log } = recordedDeps().deps
  let isStarted = false
  const starting = startWebhook(config, {
    clock,
    random: () => 0,
    log,
    kube: connected(),
    ownTokenFile: join(folder, 'none'),
  }).finally(() => {
    isStarted = true
  })
  await eventually(() => questions() === 1)
  await eventually(async () => {
    await clock.advance(2000)
    return questions() > 2
  })
  expect(isStarted).toBe(false)

  api.fault = () => undefined
  await eventually(async () => {
    await clock.advance(2000)
    return isStarted
  })
  const webhook = await starting
  await eventually(() => webhook.isReady())
  const stopping = webhook.stop()
  await clock.advance(10_000)
  await stopping
})

describe("if the cluster's own audience is guarded", () => {
  const readiness = async (metricsPort: number): Promise<number> =>
    (await fetch(`http://127.0.0.1:${metricsPort}/readyz`)).status
  const metrics = async (metricsPort: number): Promise<string> =>
    (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()

  test.each([
    ['the webhook is not ready', 'sts.amazonaws.com', 'false', 503],
    ['the webhook is ready if the operator accepts it', 'sts.amazonaws.com', 'true', 200],
    [
      'the webhook is ready if the audience is another one',
      'https://kubernetes.default.svc',
      'false',
      200,
    ],
  ])('%s', async (_, aud, accepted, status) => {
    const claims = Buffer.from(JSON.stringify({ aud: [aud] })).toString('base64url')
    const ownTokenFile = join(folder, 'token')
    await writeFile(ownTokenFile, `e30.${claims}.c2ln`)
    const clock = new VirtualClock(Date.now())
    const config = await configOf('--accept-cluster-audience', accepted)
    const webhook = await startWebhook(config, {
      clock,
      random: () => 0,
      log: recordedDeps().deps.log,
      kube: connected(),
      ownTokenFile,
    })
    // Both caches are full once both watches are open.
    await eventually(() => api.watches.count === 2)
    await eventually(async () => (await readiness(webhook.metricsPort)) === status)
    expect(webhook.isReady()).toBe(status === 200)
    expect(await metrics(webhook.metricsPort)).toContain(
      `nocreds_webhook_cluster_audience_guarded ${aud === config.audience ? 1 : 0}`,
    )
    const stopping = webhook.stop()
    await clock.advance(10_000)
    await stopping
  })
})
