import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { throwawayCertificate } from '../test/fakes/throwaway-certificate.ts'
import { podReview } from '../test/fakes/webhook-answers.ts'
import { recordOutput } from '../test/leak-check.ts'
import { bundlePrograms } from '../tools/build/programs.ts'

/** The built program, as an operator runs it. */
const OBJECTS = join(import.meta.dirname, '../tools/demo/cluster/objects.yaml')
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-webhook-'))
  await bundlePrograms(folder, ['webhook.mjs'])
})

afterAll(() => rm(folder, { recursive: true }))

function start(...flags: string[]): ChildProcess {
  return spawn(process.execPath, [join(folder, 'webhook.mjs'), ...flags], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function outcomeOf(
  child: ChildProcess,
): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'close') as Promise<[number | null]>,
  ])
  recordOutput(stdout + stderr)
  return { code, stdout, stderr }
}

describe('the command line', () => {
  const BAD: [string[], string][] = [
    [[], '--exchanger-image is missing'],
    [['--exchanger-image', 'x', '--colour', 'red'], "Unknown option '--colour'"],
    [['--exchanger-image', 'x', '--port', 'http'], '--port is "http"; allowed: a port'],
    [['--exchanger-image', 'x'], 'no cluster'],
    [
      [
        '--exchanger-image',
        'x',
        '--objects',
        '/nowhere',
        '--tls',
        'files',
        '--tls-cert',
        'c',
        '--tls-key',
        'k',
      ],
      '--objects /nowhere cannot be read: ENOENT',
    ],
    [
      [
        '--exchanger-image',
        'x',
        '--objects',
        OBJECTS,
        '--tls',
        'files',
        '--tls-cert',
        '/c',
        '--tls-key',
        '/k',
      ],
      '--tls-cert /c cannot be read: ENOENT',
    ],
  ]
  test.each(BAD)('%j exits with code 2', async (flags, message) => {
    const ports = flags.includes('--objects') ? ['--port', '0', '--metrics-port', '0'] : []
    const { code, stderr } = await outcomeOf(start(...flags, ...ports))
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })

  test('--help', async () => {
    const { code, stdout } = await outcomeOf(start('--help'))
    expect(code).toBe(0)
    expect(stdout).toContain('--exchanger-image')
  })
})

test('answers a review, logs one line for it, and exits with code 0 on SIGTERM', async () => {
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  await writeFile(join(folder, 'tls.crt'), certPem)
  await writeFile(join(folder, 'tls.key'), keyPem)
  const child = start(
    ...['--exchanger-image', 'nocreds/exchanger:0.1.0', '--objects', OBJECTS],
    ...[
      '--tls',
      'files',
      '--tls-cert',
      join(folder, 'tls.crt'),
      '--tls-key',
      join(folder, 'tls.key'),
    ],
    ...['--port', '0', '--metrics-port', '0'],
  )
  const closed = once(child, 'close') as Promise<[number | null]>
  const lines: Record<string, unknown>[] = []
  const port = await new Promise<number>((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      recordOutput(line)
      const fields = JSON.parse(line) as Record<string, unknown>
      lines.push(fields)
      if (fields['msg'] === 'webhook listening') resolve(Number(fields['port']))
    })
  })
  const body = await new Promise<string>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/mutate/pods', method: 'POST', ca: caPem }
    const outgoing = request(
      { ...options, headers: { 'content-type': 'application/json' } },
      (response) => {
        text(response).then(resolve, reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(JSON.stringify(podReview('u-1')))
  })
  expect(JSON.parse(body)).toMatchObject({ response: { uid: 'u-1', allowed: true } })
  child.kill('SIGTERM')
  expect((await closed)[0]).toBe(0)
  expect(lines.filter(({ msg }) => msg === 'decided')).toEqual([
    expect.objectContaining({
      level: 'info',
      namespace: 'team-a',
      name: 'app-',
      serviceAccount: 'app',
      role: 'arn:aws:iam::111122223333:role/team-a/app',
      decision: 'mutated',
      reason: 'injected',
    }),
  ])
})
