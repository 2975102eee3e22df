import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { realClock } from '../../shared/base/clock.ts'
import { startContainer, type RunningContainer } from './kubelet-containers.ts'
import type { KubeletContainer } from './kubelet-pod.ts'
import { preparePod } from './kubelet-volumes.ts'
import { VirtualClock } from './virtual-clock.ts'

const PATH = `${dirname(process.execPath)}:/usr/bin:/bin`
const issuer = { mintToken: () => Promise.resolve('none') }

let folder: string
const started: RunningContainer[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubelet-containers-'))
})
afterEach(async () => {
  for (const { process, exited } of started.splice(0)) {
    process.kill('SIGKILL')
    await exited
  }
  await rm(folder, { recursive: true })
})

async function run(
  container: Partial<KubeletContainer>,
  clock = realClock,
): Promise<RunningContainer> {
  const prepared = await preparePod(
    {
      metadata: { name: 'app-1', namespace: 'team-a' },
      spec: { containers: [{ name: 'app', ...container }] },
    },
    { folder, issuer, clock },
  )
  const running = await startContainer({
    prepared,
    container: 'app',
    imageRoot: { '/app': folder },
    path: PATH,
  })
  started.push(running)
  return running
}

/** A container that runs this script. */
async function script(source: string, container: Partial<KubeletContainer> = {}) {
  await writeFile(join(folder, 'main.mjs'), source)
  return { command: ['node', '/app/main.mjs'], ...container }
}

async function firstLine({ stdout }: RunningContainer): Promise<string> {
  while (stdout[0] === undefined) await new Promise(setImmediate)
  return stdout[0]
}

const RUN_UNTIL_KILLED = "console.log('up'); setInterval(() => {}, 1000)"

describe('startContainer', () => {
  test('the process has the env of the container, PATH and nothing else', async () => {
    const container = await script('console.log(JSON.stringify(process.env))', {
      env: [{ name: 'GREETING', value: 'hello' }],
    })
    const running = await run(container)
    expect(await running.exited).toMatchObject({ code: 0, signal: null, terminationMessage: '' })
    expect(JSON.parse(running.stdout.join(''))).toEqual({ GREETING: 'hello', PATH })
    expect(running.postStart).toBeUndefined()
  })

  test('an unknown program is an error, as a container that cannot be created', async () => {
    await expect(run({ command: ['/app/none'] })).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('reads the termination message, up to 4096 bytes, of this run only', async () => {
    const container = await script(
      `import { writeFileSync } from 'node:fs'
       writeFileSync(process.env.MESSAGE, 'x'.repeat(5000))
       process.exitCode = 3`,
      { env: [{ name: 'MESSAGE', value: '/dev/termination-log' }] },
    )
    const first = await (await run(container)).exited
    expect(first).toEqual({ code: 3, signal: null, terminationMessage: 'x'.repeat(4096) })
    const silent = await (await run(await script(''))).exited
    expect(silent.terminationMessage).toBe('')
  })

  test('falls back to the log of a failure if the container asks for that', async () => {
    const source = "console.error('why'); process.exitCode = 1"
    const policy = { terminationMessagePolicy: 'FallbackToLogsOnError' }
    expect((await (await run(await script(source, policy))).exited).terminationMessage).toBe('why')
    expect((await (await run(await script(source))).exited).terminationMessage).toBe('')
    const good = await script("console.error('fine')", policy)
    expect((await (await run(good)).exited).terminationMessage).toBe('')
  })

  test('stop: SIGTERM, then SIGKILL after the grace period', async () => {
    const polite = await run(await script(RUN_UNTIL_KILLED))
    await firstLine(polite)
    expect(await polite.stop()).toMatchObject({ code: null, signal: 'SIGTERM' })

    const clock = new VirtualClock()
    const deaf = await run(
      await script(`process.on('SIGTERM', () => console.log('no')); ${RUN_UNTIL_KILLED}`),
      clock,
    )
    await firstLine(deaf)
    const stopped = deaf.stop()
    while (deaf.stdout.length < 2) await new Promise(setImmediate)
    await clock.advance(29_999)
    expect(deaf.process.signalCode).toBeNull()
    await clock.advance(1)
    expect(await stopped).toMatchObject({ code: null, signal: 'SIGKILL' })
    expect(clock.pending).toBe(0)
  })
})

describe('the postStart hook', () => {
  const hook = (command: readonly string[]): Partial<KubeletContainer> => ({
    env: [{ name: 'GREETING', value: 'hello' }],
    lifecycle: { postStart: { exec: { command } } },
  })

  test('runs in the container, which continues if the hook succeeds', async () => {
    const command = ['node', '-p', 'process.env.GREETING']
    const running = await run(await script(RUN_UNTIL_KILLED, hook(command)))
    expect(await running.postStart).toEqual({ code: 0, signal: null, output: 'hello' })
    await firstLine(running)
    expect(running.process.exitCode).toBeNull()
  })

  test('stops the container when it fails', async () => {
    const command = ['node', '-e', "console.error('not yet'); process.exit(4)"]
    const running = await run(await script(RUN_UNTIL_KILLED, hook(command)))
    expect(await running.postStart).toEqual({ code: 4, signal: null, output: 'not yet' })
    expect((await running.exited).signal).toBe('SIGTERM')
  })

  test('a hook that cannot be started stops it, too', async () => {
    const running = await run(await script(RUN_UNTIL_KILLED, hook(['/app/none'])))
    await expect(running.postStart).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await running.exited).signal).toBe('SIGTERM')
  })

  test('ends with the container', async () => {
    const command = ['node', '-e', 'setInterval(() => {}, 1000)']
    const running = await run(await script('process.exitCode = 5', hook(command)))
    expect((await running.exited).code).toBe(5)
    expect(await running.postStart).toMatchObject({ code: null, signal: 'SIGKILL' })
  })
})
