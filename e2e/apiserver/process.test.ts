import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { CommandError } from '../support/command.ts'
import { waitFor } from '../support/wait.ts'
import { cpuMsOf, startProgram } from './process.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-process-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const ENV = { PATH: '/usr/bin:/bin' }

describe('a program in the background', () => {
  test('stops at stop, also if called twice; its output is in its log', async () => {
    const log = join(folder, 'log')
    const running = await startProgram('sh', ['-c', 'echo hello; exec sleep 60'], { log, env: ENV })
    await waitFor('its output', 10_000, async () =>
      (await readFile(log, 'utf8')) === 'hello\n' ? true : undefined,
    )
    expect(running.isRunning()).toBe(true)
    expect(await running.lastLines()).toBe('hello')
    expect(await running.cpuMs()).toBeGreaterThanOrEqual(0)
    await running.stop()
    expect(running.isRunning()).toBe(false)
    await running.stop()
  })

  test('that has exited is not running', async () => {
    const log = join(folder, 'log')
    const running = await startProgram('sh', ['-c', 'echo why >&2; exit 3'], { log, env: ENV })
    await waitFor('its end', 10_000, () => Promise.resolve(running.isRunning() ? undefined : true))
    expect(await running.lastLines()).toBe('why')
  })

  test('that cannot be started is an error', async () => {
    const log = join(folder, 'log')
    await expect(startProgram('sh', [], { log, env: { PATH: folder } })).rejects.toThrow(
      CommandError,
    )
  })
})

test('processor time: user and system, whatever the name of the program', () => {
  const stat = '7 (a (b) c) S 1 7 7 0 -1 4194560 900 0 1 0 150 25 3 4 20 0 9 0 100 1 2 3'
  expect(cpuMsOf(stat)).toBe(1750)
  expect(() => cpuMsOf('7 (a) S')).toThrow('/proc/pid/stat is 7 (a) S')
})
