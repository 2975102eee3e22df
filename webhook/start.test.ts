import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import { FakeApiserver } from '../testbed/apiserver.ts'
import { eventually } from '../testbed/eventually.ts'
import { noteSecret } from '../testbed/ledger.ts'
import { VirtualClock } from '../testbed/virtual-clock.ts'
import { recordedDeps } from '../testbed/webhook-answers.ts'
import { createKubeClient } from '../service/kube/kube.ts'
import { parseFlags } from './config.ts'
import { startWebhook } from './run.ts'
import { createCa } from './tls/certificates.ts'

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

test('the webhook serves nobody before it knows by which door certificates come', async () => {
  const { certPem, keyPem } = await createCa({ nowMs: Date.now(), lifetimeSeconds: 3600 })
  noteSecret(keyPem.split('\n')[1] ?? '')
  await writeFile(join(folder, 'tls.crt'), certPem)
  await writeFile(join(folder, 'tls.key'), keyPem)
  const config = parseFlags([
    ...['--exchanger-image', 'nocreds/exchanger:0.1.0', '--tls', 'files'],
    ...['--tls-cert', join(folder, 'tls.crt'), '--tls-key', join(folder, 'tls.key')],
    ...['--port', '0', '--metrics-port', '0'],
  ])
  const cluster = new KubeConfig()
  cluster.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'webhook' },
  )
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
    kube: createKubeClient(cluster),
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
