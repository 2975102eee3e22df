import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { makePod, start, until, type Pod, type Running } from '../fakes/exchanger-pod.ts'
import { bundleExchanger } from '../fakes/exchanger-programs.ts'

let dist: string
let pod: Pod
const running = new Set<Running>()

beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  await bundleExchanger(dist)
})
afterAll(() => rm(dist, { recursive: true }))

beforeEach(async () => {
  pod = await makePod({})
})
afterEach(async () => {
  for (const one of running) {
    one.kill('SIGKILL')
    await one.exited
  }
  running.clear()
  await rm(join(pod.config.credentialsFolder, '..'), { recursive: true })
})

function run(command: string, env: Readonly<Record<string, string>> = {}): Running {
  const one = start(join(dist, 'exchanger.mjs'), command, { ...pod.env, ...env })
  running.add(one)
  return one
}

test.each(['', 'refresh', 'constructor'])(
  'unknown command %j: usage and exit code 2',
  async (name) => {
    const one = run(name)
    expect(await one.exited).toBe(2)
    expect(one.said.stderr).toContain(
      `"${name}"; allowed: run, wait, ready, exchange, certificate, trust-bundle, --help`,
    )
  },
)

test('--help', async () => {
  const one = run('--help')
  expect(await one.exited).toBe(0)
  expect(one.said.stdout).toContain('usage: exchanger COMMAND')
})

test.each(['run', 'wait', 'exchange'])('%s names a bad variable, exit code 2', async (command) => {
  const one = run(command, { NOCREDS_SESSION_DURATION_SECONDS: '60' })
  if (command === 'run') {
    await until(() => (one.said.stderr === '' ? undefined : true))
    one.kill('SIGTERM')
  }
  expect(await one.exited).toBe(2)
  const message = 'variable NOCREDS_SESSION_DURATION_SECONDS is \\"60\\"; allowed: whole seconds'
  expect(JSON.stringify(one.said.stderr).replaceAll('\\\\', '')).toContain(message)
  const left = await pod.terminationMessage()
  if (command === 'run') expect(left).toContain('ERR_ENV_OUT_OF_BOUNDS: variable NOCREDS_')
  else expect(left).toBe('')
})
