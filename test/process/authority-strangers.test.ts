import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { AUTHORITY, TRUST_BUNDLE } from '../../contract/certificates.ts'
import { bundlePrograms } from '../../tools/build/programs.ts'
import type { FakeApiserver } from '../fakes/apiserver.ts'
import {
  authorityCluster,
  plausibleToken,
  TOKEN,
  writeNamespace,
} from '../fakes/authority-cluster.ts'
import { AuthorityHarness } from '../fakes/authority-harness.ts'
import { csrPem } from '../fakes/csr.ts'
import { eventually } from '../fakes/eventually.ts'
import type { FloodKind, FloodReport } from '../fakes/flood.ts'

const STRANGER = '127.0.0.2'

describe('unknown clients with forged tokens', () => {
  let harness: AuthorityHarness

  beforeEach(async () => {
    harness = await AuthorityHarness.open()
  })

  afterEach(() => harness.close())

  const tokenReviews = (): number =>
    harness.api.requests.filter(({ path }) => path.endsWith('/tokenreviews')).length

  test('are refused without a request to the apiserver, and do not fill the log', async () => {
    const authority = await harness.start()
    for (let n = 0; n < 3; n += 1) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, m) =>
          harness.ask(authority, { token: `junk.${n}.${m}`, from: STRANGER }),
        ),
      )
      expect(new Set(answers.map(({ body }) => body.code))).toEqual(new Set(['token-invalid']))
    }
    expect(tokenReviews()).toBe(0)
    expect(harness.linesOf('refused').length).toBeGreaterThan(0)
    const seconds = 30 // more than this test may take
    expect(harness.linesOf('refused').length).toBeLessThan(Math.min(120, 50 + 10 * seconds))
    const metrics = await (await fetch(`http://127.0.0.1:${authority.metricsPort}/metrics`)).text()
    expect(metrics).toContain('result="refused",reason="token-invalid"} 120')
  })

  test('with plausible tokens cause few reviews, and a pod is answered before them', async () => {
    const authority = await harness.start()
    const order: string[] = []
    const strangers = Array.from({ length: 60 }, async (_, n) => {
      const { body } = await harness.ask(authority, {
        token: plausibleToken(`forged-${n}`),
        from: STRANGER,
      })
      order.push('stranger')
      return body.code
    })
    while (tokenReviews() < 8) await new Promise((resolve) => setTimeout(resolve, 5))
    const { status } = await harness.ask(authority)
    order.push('pod')
    expect(status).toBe(200)
    // Each of the stranger's eight slots is kept for a quarter of a second.
    expect(order.indexOf('pod')).toBeLessThan(40)
    expect(new Set(await Promise.all(strangers))).toEqual(new Set(['token-invalid']))
    expect(tokenReviews()).toBe(61)
  })
})

/** The built authority: memory a fifth below the limit of its Deployment, 256 MiB. */
describe('under a flood', () => {
  const MAX_MIB = 204
  let folder = ''
  let api: FakeApiserver
  let authority: ChildProcess
  let floods: ChildProcess[]
  let port = 0
  let metricsPort = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nocreds-authority-flood-'))
    await bundlePrograms(folder, ['authority.mjs'])
    api = await authorityCluster()
    const config = {
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: api.url, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'fake', user: {} }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
    }
    await writeFile(join(folder, 'kubeconfig'), JSON.stringify(config))
  }, 60_000)

  afterAll(async () => {
    await api.stop()
    await rm(folder, { recursive: true })
  })

  beforeEach(async () => {
    floods = []
    const dockerfile = await readFile(join(import.meta.dirname, '../../Dockerfile'), 'utf8')
    const [, flags = ''] = /"node", (.*), "\/nocreds\/authority.mjs"/.exec(dockerfile) ?? []
    authority = spawn(
      process.execPath,
      [
        ...(JSON.parse(`[${flags}]`) as string[]),
        join(folder, 'authority.mjs'),
        ...['--port', '0', '--metrics-port', '0'],
      ],
      { env: { KUBECONFIG: join(folder, 'kubeconfig') }, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    await new Promise<void>((resolve) => {
      createInterface({ input: authority.stdout! }).on('line', (line) => {
        const fields = JSON.parse(line) as Record<string, unknown>
        if (fields['msg'] !== 'authority listening') return
        port = Number(fields['port'])
        metricsPort = Number(fields['metricsPort'])
        resolve()
      })
    })
  })

  afterEach(async () => {
    for (const one of floods) one.kill()
    const closed = once(authority, 'close')
    authority.kill('SIGKILL')
    await closed
  })

  function flood(kind: FloodKind, connections: number): FloodReport {
    const path = AUTHORITY.path
    const options = JSON.stringify({ kind, connections, port, path, from: STRANGER })
    const child = fork(join(import.meta.dirname, '../fakes/flood-main.ts'), [options])
    floods.push(child)
    const report = { opened: 0, bytesSent: 0 }
    child.on('message', (message) => Object.assign(report, message))
    return report
  }

  function ask(): Promise<string> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` }
    const to = { host: '127.0.0.1', port, path: AUTHORITY.path, method: 'POST', agent: false }
    return new Promise((resolve) => {
      const outgoing = request({ ...to, headers, rejectUnauthorized: false }, (response) => {
        response.resume()
        resolve(String(response.statusCode))
      })
      outgoing.on('error', (error) => {
        resolve(String(error))
      })
      outgoing.end(JSON.stringify({ csr: csrPem(), durationSeconds: 3600 }))
    })
  }

  test.each<[string, [FloodKind, number][], number]>([
    ['of 2,000 idle TCP connections of one client', [['idle-tcp', 2000]], 2000],
    [
      'of half headers, idle TLS, unfinished bodies',
      [
        ['half-header', 200],
        ['idle-tls', 200],
        ['unfinished-body', 100],
      ],
      600,
    ],
  ])(
    '%s pods are answered, and memory stays within its bound',
    async (_what, kinds, enough) => {
      const reports = kinds.map(([kind, connections]) => flood(kind, connections))
      const opened = (): number => reports.reduce((sum, report) => sum + report.opened, 0)
      const giveUp = AbortSignal.timeout(20_000) // a slow machine opens fewer
      const answers: string[] = []
      while ((opened() < enough && !giveUp.aborted) || answers.length < 20) {
        answers.push(await ask())
        const probe = await fetch(`http://127.0.0.1:${metricsPort}/readyz`)
        expect(probe.status).toBe(200)
      }
      expect(new Set(answers)).toEqual(new Set(['200']))
      expect(await peakMib()).toBeLessThan(MAX_MIB)
    },
    60_000,
  )

  test('of ConfigMaps of 1 MiB under the name of the bundle, all are replaced within that memory', async () => {
    const count = 200
    const annotations = { note: 'x'.repeat(256 * 1024) }
    const data = { 'ca.crt': 'y'.repeat(1024 * 1024) }
    const paths = Array.from({ length: count }, (_, n) => {
      writeNamespace(api, `team-${n}`, {})
      const metadata = { name: TRUST_BUNDLE.configMap, namespace: `team-${n}`, annotations }
      const path = `/api/v1/namespaces/team-${n}/configmaps/${TRUST_BUNDLE.configMap}`
      api.store.write(path, { metadata, data })
      return path
    })
    await eventually(() =>
      paths.every((path) => !JSON.stringify(api.store.get(path)?.['data']).includes('yyy')),
    )
    expect(await ask()).toBe('200')
    expect(await peakMib()).toBeLessThan(MAX_MIB)
  }, 60_000)

  /** Resident memory of the authority at its highest. */
  async function peakMib(): Promise<number> {
    const status = await readFile(`/proc/${authority.pid ?? 0}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
  }
})
