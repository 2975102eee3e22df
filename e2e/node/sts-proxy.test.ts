/**
 * A cluster that reaches STS by a proxy only, and STS has a certificate of a private CA: the three settings of docs/clusters.md,
 * and pods have credentials. STS is on the loopback of the machine, where nobody but the proxy reaches it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { EXCHANGER } from '../../contract/names.ts'
import { freePort } from '../../test/fakes/free-port.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { withTool } from '../airgap/host-tools.ts'
import { stsOnLoopback } from '../cluster/aws.ts'
import { INSTALL, NODE_CONTAINER } from '../cluster/names.ts'
import { listen, type Listening } from '../support/loopback.ts'
import { webhookOf } from '../support/nocreds-webhook.ts'
import { startProgram, type Program } from '../support/program.ts'
import { closeSuite, createTeam, identityOf, openSuite, podSpec, whoAmI } from '../support/suite.ts'
import type { Suite, Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

let suite: Suite
let team: Team
let folder: string
let sts: Listening
let proxy: Program
let proxyUrl: string

beforeAll(async () => {
  suite = await openSuite('proxy')
  await webhookOf(suite.kubectl).settled()
  team = await createTeam(suite, 'team')
  folder = await mkdtemp(join(tmpdir(), 'nocreds-proxy-'))
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  sts = await stsByTls({ cert: certPem, key: keyPem }, await stsOnLoopback(suite.host))
  await startProxy()
  await webhookOf(suite.kubectl).configure({
    stsEndpoint: `https://127.0.0.1:${sts.port}`,
    stsProxy: proxyUrl,
    stsCa: caPem,
  })
}, 300_000)

afterAll(async () => {
  await suite.kubectl(['apply', '-f', INSTALL])
  await webhookOf(suite.kubectl).restart()
  await proxy.stop()
  sts.close()
  await rm(folder, { recursive: true })
  await closeSuite(suite)
}, 300_000)

/** The suite's STS, behind TLS. */
function stsByTls(tls: { readonly cert: string; readonly key: string }, to: string) {
  const server = createServer(tls, (request, response) => {
    const { method, headers, url } = request
    const onward = httpRequest(`http://${to}${url ?? '/'}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  return listen(server)
}

/** Tinyproxy on the address by which the cluster's node knows this machine; it leads to that STS and nowhere else. */
async function startProxy(): Promise<void> {
  const host = await withTool(suite.host, 'tinyproxy', 'an STS behind a proxy')
  const gateway = '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}'
  const address = await host.run('docker', ['inspect', '--format', gateway, NODE_CONTAINER])
  const port = await freePort()
  const lines = [`Listen ${address}`, `Port ${port}`, 'Timeout 30', `ConnectPort ${sts.port}`]
  const file = join(folder, 'tinyproxy.conf')
  await writeFile(file, [...lines, 'LogLevel Connect', ''].join('\n'))
  proxy = startProgram(['tinyproxy', '-d', '-c', file], host.env, folder)
  proxyUrl = `http://${address}:${port}`
  await waitFor('the proxy to listen', 20_000, async () => {
    const answer = await fetch(proxyUrl).catch(() => undefined)
    return answer === undefined ? undefined : true
  })
}

async function start(pod: string, delivery: string): Promise<void> {
  const annotations = { 'nocreds.dev/delivery': delivery }
  const metadata = { name: pod, namespace: team.namespace, annotations }
  const spec = { ...podSpec(whoAmI()), restartPolicy: 'Never' }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

test.each(['process', 'endpoint'])('a pod has credentials: delivery %s', async (delivery) => {
  const before = proxy.lines.length
  await start(delivery, delivery)
  expect(await identityOf(suite, team, delivery)).toEqual(team.identity)
  const said = proxy.lines.slice(before).join('\n')
  expect(said).toContain(`CONNECT 127.0.0.1:${sts.port}`)
})

test('without the proxy STS is not reached, and the pod names what it could not reach', async () => {
  await webhookOf(suite.kubectl).configure({ stsProxy: '' })
  await start('direct', 'process')
  const why = await waitFor('the exchanger to say why', 120_000, async () => {
    const { status } = await suite.kubectl.get<{ readonly status: Status }>([
      ...['pod', 'direct', '--namespace', team.namespace],
    ])
    const exchanger = status.initContainerStatuses?.find(({ name }) => name === EXCHANGER.container)
    return exchanger?.lastState.terminated?.message ?? exchanger?.state.terminated?.message
  })
  expect(why).toContain('ECONNREFUSED')
})

interface Status {
  readonly initContainerStatuses?: readonly {
    readonly name: string
    readonly state: State
    readonly lastState: State
  }[]
}

interface State {
  readonly terminated?: { readonly message?: string }
}
