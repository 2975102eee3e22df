/** Test double: runs a container of a pod as a plain process. Never shipped. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Clock } from '../../shared/base/clock.ts'
import { recordOutput } from '../leak-check.ts'
import { containerOf } from './kubelet-pod.ts'
import { containerProcess, type ImageRoot } from './kubelet-process.ts'
import type { PreparedPod } from './kubelet-volumes.ts'

export interface StartOptions {
  readonly prepared: PreparedPod
  readonly container: string
  readonly imageRoot: ImageRoot
  /** `PATH` for the process, unless the container sets its own. Nothing else is inherited. */
  readonly path: string
}

/** How a process ended. */
interface Exit {
  /** Null if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** What `kubectl describe pod` would show. */
interface ContainerExit extends Exit {
  /** At most 4096 bytes; empty if the container left none. */
  readonly terminationMessage: string
}

/** The end of a postStart hook; a kubelet shows its output in the FailedPostStartHook event. */
interface HookOutcome extends Exit {
  readonly output: string
}

export interface RunningContainer {
  readonly process: Process
  /** Lines so far; they grow while it runs. */
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  /** Undefined if the container has no hook. If the hook fails, the container is stopped. */
  readonly postStart: Promise<HookOutcome> | undefined
  readonly exited: Promise<ContainerExit>
  /** SIGTERM, and SIGKILL after 30 s of the clock; resolves with `exited`. */
  stop(): Promise<ContainerExit>
}

type Process = ChildProcessByStdio<null, Readable, Readable>

/** Default of terminationGracePeriodSeconds. */
const GRACE_MS = 30_000
/** Source: Kubernetes, "Determine the Reason for Pod Failure". */
const TERMINATION_MESSAGE = { maxBytes: 4096, logBytes: 2048, logLines: 80 } as const

/** Starts the container's process and its postStart hook, as the kubelet starts a sidecar. */
export async function startContainer(options: StartOptions): Promise<RunningContainer> {
  const { prepared, container, imageRoot, path } = options
  const planned = containerProcess(prepared, container, imageRoot)
  const context = { env: { PATH: path, ...planned.env }, cwd: prepared.folder }
  await mkdir(dirname(planned.terminationMessageFile), { recursive: true })
  await writeFile(planned.terminationMessageFile, '')

  const process = await start(planned.command, context)
  const stdout = linesOf(process.stdout)
  const stderr = linesOf(process.stderr)
  const { terminationMessagePolicy } = containerOf(prepared.pod, container)
  const exited = exitOf(process).then(async (exit) => ({
    ...exit,
    terminationMessage: await terminationMessageOf(planned.terminationMessageFile, {
      isFailure: exit.code !== 0,
      logs: terminationMessagePolicy === 'FallbackToLogsOnError' ? [...stdout, ...stderr] : [],
    }),
  }))
  const stop = (): Promise<ContainerExit> => terminate(process, exited, prepared.clock)
  const postStart = planned.postStart && runHook(planned.postStart, context, process)
  void postStart
    ?.then(
      ({ code }) => code === 0,
      () => false,
    )
    .then((isGood) => (isGood ? undefined : stop()))
  return { process, stdout, stderr, postStart, exited, stop }
}

interface Context {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** Resolves once it runs; rejects with ENOENT and the like if it cannot. */
async function start(command: readonly string[], { env, cwd }: Context): Promise<Process> {
  const [program = '', ...words] = command
  const process = spawn(program, words, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  await once(process, 'spawn')
  return process
}

async function exitOf(process: Process): Promise<Exit> {
  const [code, signal] = (await once(process, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal }
}

/** The hook runs in the container, so it ends with it. */
async function runHook(
  command: readonly string[],
  context: Context,
  container: Process,
): Promise<HookOutcome> {
  const hook = await start(command, context)
  const output = [linesOf(hook.stdout), linesOf(hook.stderr)]
  container.once('exit', () => hook.kill('SIGKILL'))
  if (container.exitCode !== null || container.signalCode !== null) hook.kill('SIGKILL')
  const exit = await exitOf(hook)
  return { ...exit, output: output.flat().join('\n') }
}

function linesOf(stream: Readable): readonly string[] {
  const lines: string[] = []
  createInterface({ input: stream }).on('line', (line) => {
    lines.push(line)
    recordOutput(line)
  })
  return lines
}

async function terminate(
  process: Process,
  exited: Promise<ContainerExit>,
  clock: Clock,
): Promise<ContainerExit> {
  process.kill('SIGTERM')
  const cancel = clock.after(GRACE_MS, () => process.kill('SIGKILL'))
  const exit = await exited
  cancel()
  return exit
}

/** The message that the container wrote; the end of its log if it failed without a message. */
async function terminationMessageOf(
  file: string,
  { isFailure, logs }: { readonly isFailure: boolean; readonly logs: readonly string[] },
): Promise<string> {
  const content = await readFile(file).catch(() => Buffer.alloc(0)) // the container may remove it
  const written = content.subarray(0, TERMINATION_MESSAGE.maxBytes).toString('utf8')
  if (written !== '' || !isFailure) return written
  const tail = logs.slice(-TERMINATION_MESSAGE.logLines).join('\n')
  return Buffer.from(tail).subarray(-TERMINATION_MESSAGE.logBytes).toString('utf8')
}
