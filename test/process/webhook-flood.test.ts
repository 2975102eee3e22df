import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { bundlePrograms } from '../../tools/build/programs.ts'
import type { FloodKind, FloodReport } from '../fakes/flood.ts'
import { throwawayCertificate } from '../fakes/throwaway-certificate.ts'
import { podReview } from '../fakes/webhook-answers.ts'

/**
 * The built webhook, with the flags of its image, while strangers send what costs it the most. Its memory
 * must stay a fifth below the limit of its Deployment, 384 MiB, and honest callers must be answered.
 */
const MAX_MIB = 307
const OBJECTS = join(import.meta.dirname, '../../tools/demo/cluster/objects.yaml')
const STRANGER = '127.0.0.2'

let folder = ''
let webhook: ChildProcess
let floods: ChildProcess[]
let port = 0
let metricsPort = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-flood-'))
  await bundlePrograms(folder, ['webhook.mjs'])
  const { certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  await writeFile(join(folder, 'tls.crt'), certPem)
  await writeFile(join(folder, 'tls.key'), keyPem)
}, 60_000)

afterAll(() => rm(folder, { recursive: true }))

beforeEach(async () => {
  floods = []
  const dockerfile = await readFile(join(import.meta.dirname, '../../Dockerfile'), 'utf8')
  const [, flags = ''] = /"node", (.*), "\/nocreds\/webhook.mjs"/.exec(dockerfile) ?? []
  const ofNode = JSON.parse(`[${flags}]`) as string[]
  webhook = spawn(
    process.execPath,
    [
      ...[...ofNode, join(folder, 'webhook.mjs')],
      ...['--exchanger-image', 'nocreds/exchanger:0.1.0', '--objects', OBJECTS],
      ...['--tls', 'files', '--tls-cert', join(folder, 'tls.crt')],
      ...['--tls-key', join(folder, 'tls.key'), '--port', '0', '--metrics-port', '0'],
    ],
    { env: {}, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await new Promise<void>((resolve) => {
    createInterface({ input: webhook.stdout! }).on('line', (line) => {
      const fields = JSON.parse(line) as Record<string, unknown>
      if (fields['msg'] !== 'webhook listening') return
      port = Number(fields['port'])
      metricsPort = Number(fields['metricsPort'])
      resolve()
    })
  })
})

afterEach(async () => {
  for (const flood of floods) flood.kill()
  const closed = once(webhook, 'close')
  webhook.kill('SIGKILL')
  await closed
})

/** Resident memory, in MiB: what it is now, and the most that it was. */
async function memory(): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await readFile(`/proc/${webhook.pid ?? 0}/status`, 'utf8')
  const [now, peak] = ['VmRSS', 'VmHWM'].map(
    (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1024,
  )
  return { now: now ?? NaN, peak: peak ?? NaN }
}

/** A process of its own, so that the honest callers here do not wait for the stranger. */
function flood(kind: FloodKind, connections: number, on: 'admission' | 'metrics'): FloodReport {
  const options = {
    kind,
    connections,
    from: STRANGER,
    ...(on === 'admission' ? { port } : { port: metricsPort, isPlain: true, path: '/metrics' }),
  }
  const child = fork(join(import.meta.dirname, '../fakes/flood-main.ts'), [JSON.stringify(options)])
  floods.push(child)
  const report = { opened: 0, bytesSent: 0 }
  child.on('message', (message) => Object.assign(report, message))
  return report
}

function ask(agent: Agent, from: string): Promise<string> {
  const to = { host: '127.0.0.1', port, path: '/mutate/pods', method: 'POST' }
  const options = { ...to, agent, localAddress: from, rejectUnauthorized: false }
  return new Promise((resolve) => {
    const outgoing = request(
      { ...options, headers: { 'content-type': 'application/json' } },
      (response) => {
        text(response).then(
          (said) => {
            resolve(said.includes('"allowed":true') ? 'allowed' : said)
          },
          (error: unknown) => {
            resolve(String(error))
          },
        )
      },
    )
    outgoing.on('error', (error) => {
      resolve(String(error))
    })
    outgoing.end(JSON.stringify(podReview('u-1')))
  })
}

async function probe(): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(String)
  return typeof answer === 'string' ? answer : answer.text()
}

/** Sends requests until the flood has done so much; returns all answers. */
async function askWhile(
  isUnderWay: () => boolean,
  one: () => Promise<string>,
): Promise<readonly string[]> {
  const answers = [await one()]
  while (isUnderWay() || answers.length < 10) answers.push(await one())
  return answers
}

/** How much of a flood a test waits for. */
const ENOUGH = { opened: 600, bytesSent: 400 * 1024 * 1024 } as const

describe('under a flood', () => {
  test.each<[string, [FloodKind, number][], [FloodKind, number][]]>([
    ['of 160 unfinished bodies of 8 MiB', [['unfinished-body', 160]], []],
    [
      'of half headers, idle TLS and idle TCP',
      [
        ['half-header', 200],
        ['idle-tls', 200],
        ['idle-tcp', 200],
      ],
      [],
    ],
    ['of bodies that become large once they are parsed', [['costly-json', 60]], []],
    ['of bodies in parts of a byte', [['body-in-crumbs', 160]], []],
    ['of clients that never read the answers', [['unread-answers', 200]], []],
    [
      'on the metrics port',
      [],
      [
        ['half-header', 300],
        ['unread-answers', 200],
        ['idle-tcp', 300],
      ],
    ],
    [
      'of all of that at once',
      [
        ['unfinished-body', 100],
        ['half-header', 60],
        ['idle-tls', 60],
        ['idle-tcp', 60],
        ['costly-json', 40],
      ],
      [
        ['half-header', 100],
        ['unread-answers', 60],
      ],
    ],
  ])(
    '%s memory stays within its bound and regular clients are answered',
    async (_what, onAdmission, onMetrics) => {
      const keeping = new Agent({ keepAlive: true, maxSockets: 1 })
      const opening = new Agent({ keepAlive: false })
      expect(await ask(keeping, '127.0.0.1')).toBe('allowed')
      const reports = [
        ...onAdmission.map(([kind, connections]) => flood(kind, connections, 'admission')),
        ...onMetrics.map(([kind, connections]) => flood(kind, connections, 'metrics')),
      ]
      const giveUp = AbortSignal.timeout(20_000) // a slow machine sends less
      const isUnderWay = (): boolean =>
        !giveUp.aborted &&
        reports.some(
          ({ opened, bytesSent }) => opened < ENOUGH.opened && bytesSent < ENOUGH.bytesSent,
        )
      const [kept, opened, probed] = await Promise.all([
        askWhile(isUnderWay, () => ask(keeping, '127.0.0.1')),
        askWhile(isUnderWay, () => ask(opening, '127.0.0.3')),
        askWhile(isUnderWay, probe),
      ])
      expect(new Set(kept)).toEqual(new Set(['allowed']))
      expect(new Set(opened)).toEqual(new Set(['allowed']))
      expect(new Set(probed)).toEqual(new Set(['ok\n']))
      expect((await memory()).peak).toBeLessThan(MAX_MIB)
      expect(webhook.exitCode).toBeNull()
    },
    90_000,
  )

  test('a regular client behind the same address is answered as well', async () => {
    const keeping = new Agent({ keepAlive: true, maxSockets: 1 })
    expect(await ask(keeping, STRANGER)).toBe('allowed')
    const report = flood('unfinished-body', 160, 'admission')
    while (report.opened < 300) expect(await ask(keeping, STRANGER)).toBe('allowed')
    // A new connection may be the one that is let go, so it may need to try again.
    const opening = new Agent({ keepAlive: false })
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(opening, STRANGER)))
    expect(answers.filter((answer) => answer === 'allowed').length).toBeGreaterThanOrEqual(5)
    expect(await ask(keeping, STRANGER)).toBe('allowed')
  }, 60_000)
})
