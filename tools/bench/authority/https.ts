import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { parseFlags } from '../../../authority/config.ts'
import { startAuthority } from '../../../authority/run.ts'
import { AUTHORITY } from '../../../contract/certificates.ts'
import { realClock } from '../../../shared/base/clock.ts'
import type { Logger } from '../../../shared/base/log.ts'
import {
  authorityCluster,
  kubeOf,
  SECRET_PATH,
  TOKEN,
} from '../../../test/fakes/authority-cluster.ts'
import { csrPem } from '../../../test/fakes/csr.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import type { Section } from '../section.ts'
import { median, quantile, spread } from '../statistics.ts'

const ROUNDS = 5
const REQUESTS = 200
const AT_ONCE = 4
const GOAL_P99_MS = 100

const nothing = (): void => undefined
const SILENT: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** A pod's whole request: TLS from the start, three questions to an apiserver on loopback, the answer. */
export async function measureHttps(): Promise<Section> {
  const api = await authorityCluster()
  const config = parseFlags(['--port', '0', '--metrics-port', '0'])
  const deps = { clock: realClock, random: Math.random, log: SILENT, kube: kubeOf(api) }
  const authority = await startAuthority(config, deps)
  await eventually(() => authority.isReady())
  const { data } = api.store.present(SECRET_PATH) as unknown as { data: Record<string, string> }
  const ca = Buffer.from(data['ca.crt'] ?? '', 'base64').toString()
  const body = JSON.stringify({ csr: csrPem({ dnsNames: ['web'] }), durationSeconds: 3600 })
  const round = (): Promise<number[]> => latenciesMs(() => ask(authority.port, ca, body))
  await round() // for the JIT
  const rounds: number[][] = []
  for (let index = 0; index < ROUNDS; index += 1) rounds.push(await round())
  await authority.stop()
  await api.stop()
  const p50s = rounds.map(median)
  const p99s = rounds.map((one) => quantile(one, 0.99))
  return {
    title: 'Requests over HTTPS',
    goal: `p99 under ${GOAL_P99_MS} ms, ${AT_ONCE} pods at once`,
    measured: `p50 ${spread(p50s, 1)} ms, p99 ${spread(p99s, 1)} ms`,
    verdict: median(p99s) < GOAL_P99_MS ? 'reached' : 'missed',
    detail: [
      `- ${ROUNDS} rounds of ${REQUESTS} requests, ${AT_ONCE} at a time, a new TLS connection for each`,
      '- authority, clients and a fake apiserver share one process, so each figure holds the work of all three',
    ],
  }
}

async function latenciesMs(action: () => Promise<void>): Promise<number[]> {
  const latencies: number[] = []
  const worker = async (): Promise<void> => {
    while (latencies.length < REQUESTS) {
      const startedAt = performance.now()
      await action()
      latencies.push(performance.now() - startedAt)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return latencies
}

function ask(port: number, ca: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` }
    const to = { host: '127.0.0.1', port, path: AUTHORITY.path, method: 'POST', agent: false }
    const options = { ...to, headers, ca, servername: AUTHORITY.host }
    const outgoing = request(options, (response) => {
      text(response).then((said) => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(said))
      }, reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
