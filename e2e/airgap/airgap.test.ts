import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { bringUp } from '../cluster/bring-up.ts'
import { takeDown } from '../cluster/take-down.ts'
import { CommandError, run } from '../support/command.ts'
import { MachineError, needDisk, type Host } from '../support/host.ts'
import { cached, recipeOf, recipeOfFiles } from './cache.ts'
import { withEngine } from './engine.ts'
import { withGo } from './host-tools.ts'
import { provideImages } from './provide.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-airgap-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** A machine that only answers: the output of a command line, or undefined if it fails. */
function machine(answer: (line: string) => string | undefined, isRoot = false) {
  const lines: string[] = []
  const host: Host = {
    env: {},
    cache: folder,
    isRoot,
    progress: { say: () => undefined, step: (_what, work) => work() },
    tryRun: (command, args) => {
      lines.push([command, ...args].join(' '))
      return Promise.resolve(answer(lines.at(-1) ?? ''))
    },
    run: async (command, args) => {
      const answered = await host.tryRun(command, args)
      if (answered === undefined) throw new CommandError(command, 'failed', '')
      return answered
    },
    show: () => Promise.resolve(0),
    with: () => host,
  }
  return { host, lines }
}

/** A message that fits in one line and names what is missing. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(MachineError)
  const { message } = error as MachineError
  expect(message).not.toContain('\n')
  return message
}

const nothing = (): Promise<void> => Promise.resolve()

const dockerAnswers = (line: string): string | undefined =>
  line.startsWith('docker version') ? '28.0.0' : undefined

describe('what the machine lacks is named in one line', () => {
  test('no Docker, and not Debian', async () => {
    const { host } = machine(() => undefined, true)
    expect(await refusal(withEngine(host, nothing))).toMatch(/no Docker engine answers.*apt-get/)
  })

  test('no Docker, and not root', async () => {
    const { host, lines } = machine((line) => (line.startsWith('apt-get') ? 'apt 2.6' : undefined))
    expect(await refusal(withEngine(host, nothing))).toMatch(/no Docker engine answers.*root/)
    expect(lines.filter((line) => line.includes('install'))).toEqual([])
  })

  test('the disk is too small', async () => {
    const { host } = machine(() => undefined)
    expect(await refusal(needDisk(host, 1e9))).toMatch(/1000000000 GB are needed/)
  })

  test('a cluster of that name is there: it is neither used nor deleted', async () => {
    const { host, lines } = machine(
      (line) => dockerAnswers(line) ?? (line.startsWith('docker ps') ? '0123456789ab' : ''),
    )
    expect(await refusal(bringUp(host, () => undefined))).toMatch(/nocreds-e2e is already there/)
    await takeDown(host, { cluster: undefined, failed: true, keep: false })
    expect(lines.filter((line) => /^docker (rm|run|create|pull)|^kind/.test(line))).toEqual([])
  })

  test('the engine cannot start what a node of kind is', async () => {
    const { host, lines } = machine((line) => {
      if (line.startsWith('kind create')) return undefined
      if (line === 'go version') return 'go version go1.26.8 linux/amd64'
      return line.startsWith('docker version') ? '28.0.0' : ''
    })
    const output = 'OCI runtime create failed: unable to apply caps: operation not permitted'
    const failing: Host = {
      ...host,
      run: (command, args) =>
        args[0] === 'create' && command === 'kind'
          ? Promise.reject(new CommandError('kind', 'ended with 1', output))
          : host.run(command, args),
      with: () => failing,
    }
    expect(await refusal(bringUp(failing, () => undefined))).toMatch(/lacks a capability/)
    expect(lines.filter((line) => line.startsWith('docker build'))).toEqual([])
  })

  test('no Go, and not Debian', async () => {
    const { host } = machine(() => undefined, true)
    expect(await refusal(withGo(host, 'kind'))).toMatch(/kind must be built here.*apt-get/)
  })

  test('a registry that has only some of the images, on a machine that can build none', async () => {
    const { host } = machine((line) => (line.includes('pull --quiet kindest') ? 'ok' : undefined))
    expect(await refusal(provideImages(host))).toMatch(/^node:24-bookworm-slim cannot be pulled/)
  })
})

test('images that are there are neither pulled nor made', async () => {
  const { host, lines } = machine((line) =>
    line.startsWith('docker image inspect') ? '' : undefined,
  )
  expect(await provideImages(host)).toMatch(/^kindest\/node:v1.*@sha256/)
  expect(lines.filter((line) => !line.startsWith('docker image inspect'))).toEqual([])
})

test('what an interrupted run left is removed before images are made', async () => {
  await mkdir(join(folder, 'go-etcd.unfinished'))
  const { host } = machine((line) => (line.startsWith('docker image inspect') ? '' : undefined))
  await provideImages(host)
  expect(await readdir(folder)).toEqual([])
})

describe('cache', () => {
  const make = (path: string): Promise<void> => writeFile(join(path, 'program'), 'x')

  test('a folder is made once for a recipe, and replaces that of an older one', async () => {
    const { host } = machine(() => undefined)
    await cached(host, 'tool', recipeOf(1), make)
    const made = await cached(host, 'tool', recipeOf(2), make)
    expect(await readdir(folder)).toEqual([`tool-${recipeOf(2)}`])
    const again = await cached(host, 'tool', recipeOf(2), () => Promise.reject(new Error('no')))
    expect(again).toEqual(made)
  })

  test('a failure leaves the old one, and nothing that looks finished', async () => {
    const { host } = machine(() => undefined)
    await cached(host, 'tool', recipeOf(1), make)
    const failing = cached(host, 'tool', recipeOf(2), () => Promise.reject(new Error('no disk')))
    await expect(failing).rejects.toThrow('no disk')
    expect(await readdir(folder)).toEqual([`tool-${recipeOf(1)}`, 'tool.unfinished'])
  })

  test('the recipe of files follows names and contents', async () => {
    const recipes = new Set<string>()
    for (const [name, content] of [
      ['a', '1'],
      ['a', '2'],
      ['b', '2'],
    ] as const) {
      await rm(folder, { recursive: true })
      await mkdir(join(folder, 'in'), { recursive: true })
      await writeFile(join(folder, 'in', name), content)
      recipes.add(await recipeOfFiles(folder))
    }
    expect(recipes.size).toBe(3)
  })
})

describe('commands', () => {
  const env = { PATH: process.env['PATH'] }

  test('a failure says the command and the last lines it printed', async () => {
    const failing = run('sh', ['-c', 'echo first; echo last >&2; exit 3'], { env })
    await expect(failing).rejects.toMatchObject({
      code: 'ERR_COMMAND',
      message: expect.stringMatching(/^sh -c .* ended with 3\n {2}first\n {2}last$/),
    })
  })

  test('a program that is not there, and one that takes too long', async () => {
    await expect(run('no-such-program', [], { env })).rejects.toThrow('cannot be started')
    const slow = run('sleep', ['60'], { env, timeoutMs: 50 })
    await expect(slow).rejects.toThrow('was ended after 0.05 s')
    const interrupted = run('sleep', ['60'], { env, signal: AbortSignal.abort() })
    await expect(interrupted).rejects.toThrow('was interrupted')
  })
})
